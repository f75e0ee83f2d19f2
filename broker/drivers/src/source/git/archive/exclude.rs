//! `archive.exclude` of `composer.json`, with the rules of `composer archive`.

use super::glob::Glob;

/// The patterns of a package, in order: the last one that matches decides.
#[derive(Default)]
pub(super) struct Exclude(Vec<Rule>);

struct Rule {
    glob: Glob,
    restores: bool,
}

impl Exclude {
    /// The rules as written. One that Composer could not make sense of has no effect, there as here.
    pub(super) fn new(rules: &[String]) -> Self {
        Self(rules.iter().filter_map(|rule| Rule::parse(rule)).collect())
    }

    /// Whether a rule can bring back what `.gitattributes` took out.
    pub(super) fn can_restore(&self) -> bool {
        self.0.iter().any(|rule| rule.restores)
    }

    /// Whether a file stays out. `ignored` is the verdict of `.gitattributes`, which is asked first.
    pub(super) fn decides(&self, path: &[u8], ignored: bool) -> bool {
        let rooted = [b"/", path].concat();
        let last = self.0.iter().rev().find(|rule| rule.glob.matches(&rooted));
        last.map_or(ignored, |rule| !rule.restores)
    }
}

impl Rule {
    /// A leading `/` ties a pattern to the top; one without any inner `/` matches a whole name at any depth; one with
    /// an inner `/` matches wherever its text stands, even within a name.
    fn parse(rule: &str) -> Option<Self> {
        let restores = rule.starts_with('!');
        let rule = rule.trim_start_matches('!');
        let slash = rule.find('/');
        let start = match slash {
            Some(0) => "^/",
            None => "/",
            Some(at) if at + 1 == rule.len() => "/",
            Some(_) => "",
        };
        let glob = Glob::parse(start, rule.trim_matches('/'))?;
        Some(Self { glob, restores })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_those_of_composer() {
        let excluded = |rules: &[&str], path: &str| {
            let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
            Exclude::new(&rules).decides(path.as_bytes(), false)
        };
        for (rules, path, expected) in [
            (&["/tests"][..], "tests/a.php", true),
            (&["/tests"], "src/tests/a.php", false),
            (&["tests"], "src/tests/a.php", true),
            (&["tests/"], "src/tests/a.php", true),
            (&["tests"], "src/mytests", false),
            (&["src/tests"], "lib/src/tests/a.php", true),
            (&["src/tests"], "mysrc/tests/a.php", true),
            (&["*.md"], "docs/README.md", true),
            (&["*.md"], "docs/.hidden.md", false),
            (&["/*"], "a", true),
            (&["/*", "!/src"], "src/a.php", false),
            (&["/*", "!/src", "a.php"], "src/a.php", true),
            (&["!!/x"], "x", false),
            (&["a?c"], "abc", true),
            (&["a?c"], "a/c", false),
            (&["{a,b}.txt"], "d/b.txt", true),
            (&["/a/**/c"], "a/x/y/c", true),
            (&["/a/**/c"], "a/c", true),
            (&["[ab]c"], "bc", true),
            (&["[ab"], "a", false),
            (&["a.c"], "abc", false),
        ] {
            assert_eq!(excluded(rules, path), expected, "{rules:?} {path}");
        }
    }

    #[test]
    fn a_rule_can_bring_an_ignored_file_back() {
        let exclude = Exclude::new(&["!/tests/fixtures".to_owned()]);
        assert!(exclude.can_restore());
        assert!(!exclude.decides(b"tests/fixtures/a", true));
        assert!(exclude.decides(b"tests/b", true));
    }
}
