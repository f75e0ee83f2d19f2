//! The globs of Composer's archive filters.
//!
//! Composer turns a glob into a Perl regular expression, and what that expression then matches is the rule: a `*` or
//! a name at the start of a path part matches no leading dot, `**` between slashes spans folders, braces are
//! alternatives, brackets are sets of characters (without negation). The matcher here runs in time proportional to
//! pattern times path, whatever the pattern.

/// A compiled glob, as instructions of a small machine that is in many places at once.
pub(super) struct Glob {
    anchored: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    /// This byte.
    Byte(u8),
    /// Any byte but `/`.
    NotSlash,
    /// One of these ranges.
    Within(Vec<(u8, u8)>),
    /// No byte: the next is there, and no `.`.
    NoDot,
    /// No byte: go on at both.
    Either(usize, usize),
    /// No byte: the path or its part ends here.
    End,
}

/// The longest pattern.
const MAX_LENGTH: usize = 4096;

impl Glob {
    /// Compiles `glob`; `start` is what stands before it: `^/` for the top, `/` for the start of a part, or nothing.
    /// `None` for what is no pattern: an open bracket or brace, or one that is too long.
    pub(super) fn parse(start: &str, glob: &str) -> Option<Self> {
        if glob.len() > MAX_LENGTH {
            return None;
        }
        let mut parser = Parser {
            glob: glob.as_bytes(),
            at: 0,
            steps: Vec::new(),
            braces: Vec::new(),
        };
        if start.ends_with('/') {
            parser.steps.push(Step::Byte(b'/'));
        }
        parser.parse()?;
        parser.steps.push(Step::End);
        Some(Self {
            anchored: start.starts_with('^'),
            steps: parser.steps,
        })
    }

    /// Whether the pattern is found in a path that starts with `/`.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let (mut here, mut after) = (Places::of(&self.steps), Places::of(&self.steps));
        for at in 0..=path.len() {
            let next = path.get(at).copied();
            if at == 0 || !self.anchored {
                here.add(0);
            }
            while let Some(place) = here.next() {
                match self.steps.get(place) {
                    Some(Step::End) if next.is_none_or(|byte| byte == b'/') => return true,
                    Some(Step::Either(one, other)) => {
                        here.add(*one);
                        here.add(*other);
                    }
                    Some(Step::NoDot) if next.is_some_and(|byte| byte != b'.') => {
                        here.add(place + 1);
                    }
                    Some(step) if next.is_some_and(|byte| step.takes(byte)) => after.add(place + 1),
                    Some(_) | None => {}
                }
            }
            std::mem::swap(&mut here, &mut after);
            after.clear();
        }
        false
    }
}

impl Step {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(wanted) => *wanted == byte,
            Self::NotSlash => byte != b'/',
            Self::Within(ranges) => ranges
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&byte)),
            Self::NoDot | Self::Either(..) | Self::End => false,
        }
    }
}

/// The places the machine is at, each once, in the order they came up.
struct Places {
    order: Vec<usize>,
    known: Vec<bool>,
    done: usize,
}

impl Places {
    fn of(steps: &[Step]) -> Self {
        Self {
            order: Vec::new(),
            known: vec![false; steps.len()],
            done: 0,
        }
    }

    fn add(&mut self, place: usize) {
        if let Some(known) = self.known.get_mut(place)
            && !std::mem::replace(known, true)
        {
            self.order.push(place);
        }
    }

    fn next(&mut self) -> Option<usize> {
        let place = self.order.get(self.done).copied()?;
        self.done += 1;
        Some(place)
    }

    fn clear(&mut self) {
        for place in self.order.drain(..) {
            if let Some(known) = self.known.get_mut(place) {
                *known = false;
            }
        }
        self.done = 0;
    }
}

struct Parser<'a> {
    glob: &'a [u8],
    at: usize,
    steps: Vec<Step>,
    /// For each open brace: the choice in front of its current alternative, and the jumps from ended ones to its end.
    braces: Vec<(usize, Vec<usize>)>,
}

impl Parser<'_> {
    fn parse(&mut self) -> Option<()> {
        let mut part_starts = true;
        let mut escaped = false;
        while let Some(byte) = self.glob.get(self.at).copied() {
            if part_starts && byte != b'.' {
                self.steps.push(Step::NoDot);
            }
            part_starts = byte == b'/';
            if part_starts && self.folders() {
                continue;
            }
            if byte == b'\\' && !escaped {
                escaped = true;
            } else {
                self.byte(byte, escaped)?;
                escaped = false;
            }
            self.at += 1;
        }
        self.braces.is_empty().then_some(())
    }

    fn byte(&mut self, byte: u8, escaped: bool) -> Option<()> {
        match byte {
            b'*' if !escaped => self.repeat(|parser| parser.steps.push(Step::NotSlash)),
            b'?' if !escaped => self.steps.push(Step::NotSlash),
            b'{' if !escaped => {
                let choice = self.choice();
                self.braces.push((choice, Vec::new()));
            }
            b'}' if !escaped && !self.braces.is_empty() => self.close_brace(),
            b',' if !escaped && !self.braces.is_empty() => self.next_alternative(),
            b'[' => return self.set(),
            byte => self.steps.push(Step::Byte(byte)),
        }
        Some(())
    }

    /// `**` after a slash, as a whole part: any number of folders.
    fn folders(&mut self) -> bool {
        let rest = self.glob.get(self.at + 1..).unwrap_or_default();
        let inner = match rest {
            [b'*', b'*'] => false,
            [b'*', b'*', b'/', ..] => true,
            _ => return false,
        };
        self.steps.push(Step::Byte(b'/'));
        self.repeat(|parser| {
            parser.steps.extend([Step::NoDot, Step::NotSlash]);
            parser.repeat(|parser| parser.steps.push(Step::NotSlash));
            if inner {
                parser.steps.push(Step::Byte(b'/'));
            } else {
                let at = parser.steps.len();
                parser
                    .steps
                    .extend([Step::Either(at + 1, at + 2), Step::Byte(b'/')]);
            }
        });
        self.at += if inner { 4 } else { 3 };
        true
    }

    /// What `body` pushes, any number of times.
    fn repeat(&mut self, body: impl FnOnce(&mut Self)) {
        let start = self.steps.len();
        self.steps.push(Step::End);
        body(self);
        let end = self.steps.len();
        self.steps.push(Step::Either(start, start));
        self.set_jump(start, start + 1, end + 1);
    }

    /// Begins an alternative with a choice between it and the next one.
    fn choice(&mut self) -> usize {
        self.steps.push(Step::Either(0, 0));
        self.steps.len() - 1
    }

    fn next_alternative(&mut self) {
        let jump = self.steps.len();
        self.steps.push(Step::Either(0, 0));
        let next = self.choice();
        let Some((choice, ends)) = self.braces.last_mut() else {
            return;
        };
        ends.push(jump);
        let ended = std::mem::replace(choice, next);
        self.set_jump(ended, ended + 1, next);
    }

    fn close_brace(&mut self) {
        let Some((choice, ends)) = self.braces.pop() else {
            return;
        };
        self.set_jump(choice, choice + 1, choice + 1);
        let after = self.steps.len();
        for jump in ends {
            self.set_jump(jump, after, after);
        }
    }

    fn set_jump(&mut self, at: usize, one: usize, other: usize) {
        if let Some(step) = self.steps.get_mut(at) {
            *step = Step::Either(one, other);
        }
    }

    /// A set of characters; as in Composer nothing negates it.
    fn set(&mut self) -> Option<()> {
        let content = self.glob.get(self.at + 1..)?;
        let length = content.iter().skip(1).position(|byte| *byte == b']')? + 1;
        let mut ranges = Vec::new();
        let mut rest = content.get(..length)?;
        loop {
            rest = match rest {
                [] => break,
                [low, b'-', high, rest @ ..] => {
                    ranges.push((*low, *high));
                    rest
                }
                [byte, rest @ ..] => {
                    ranges.push((*byte, *byte));
                    rest
                }
            };
        }
        self.steps.push(Step::Within(ranges));
        self.at += length + 1;
        Some(())
    }
}
