//! Versions and constraints as people write them, and as nobody should.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// How many items one question to PHP carries, and how many questions a property asks.
pub(crate) const BATCH: usize = 400;

pub(crate) fn batches(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::with_cases(cases)
    }
}

fn number() -> BoxedStrategy<String> {
    prop_oneof![
        8 => (0_u32..25).prop_map(|number| number.to_string()),
        2 => select(vec!["00", "01", "007", "99999", "100000", "2010", "9999999", "0"]).prop_map(str::to_owned),
        1 => (0_u32..300_000).prop_map(|number| number.to_string()),
        1 => select(vec!["9223372036854775807", "9223372036854775808", "123456789012345678901234567890"])
            .prop_map(str::to_owned),
    ].boxed()
}

fn numbers() -> BoxedStrategy<String> {
    prop_oneof![
        8 => vec(number(), 1..=4).prop_map(|numbers| numbers.join(".")),
        1 => vec(number(), 5..=6).prop_map(|numbers| numbers.join(".")),
        2 => date(),
    ]
    .boxed()
}

fn date() -> BoxedStrategy<String> {
    let part = ("[.:-]?", prop_oneof![5 => "[0-9]{2}", 1 => "[0-9]{1,4}"])
        .prop_map(|(dot, digits)| dot + &digits);
    ("(19|20)[0-9]{2}", vec(part, 0..9))
        .prop_map(|(year, parts)| year + &parts.concat())
        .boxed()
}

fn modifier() -> BoxedStrategy<String> {
    let word = "(stable|beta|b|RC|rc|alpha|a|patch|pl|p|STABLE|Beta|gamma|x)";
    let numbers = "([.-]?[0-9]{1,3}){0,3}";
    ("[._-]?", word, numbers)
        .prop_map(|(dot, word, numbers)| dot + &word + &numbers)
        .boxed()
}

fn maybe<S>(weight: u32, part: S) -> BoxedStrategy<String>
where
    S: Strategy<Value = String> + 'static,
{
    prop_oneof![10 => Just(String::new()), weight => part].boxed()
}

fn fixed(parts: &[&'static str]) -> BoxedStrategy<String> {
    select(parts.to_vec()).prop_map(str::to_owned).boxed()
}

/// A version put together from the parts that Composer knows, some in the wrong place.
fn plausible_version() -> BoxedStrategy<String> {
    (
        maybe(2, fixed(&["v", "V", " ", "dev-", "release-"])),
        numbers(),
        maybe(2, fixed(&[".x", ".*", ".X", ".x.3", "x"])),
        maybe(8, modifier()),
        maybe(
            3,
            fixed(&[
                "-dev", ".dev", "dev", "_dev", "-DEV", "--dev", "-dev\n", "-",
            ]),
        ),
        maybe(1, fixed(&["+build", "+1.2-beta", "+", "+a b", "+a\n"])),
        maybe(
            1,
            fixed(&[
                "@dev",
                "@beta",
                "@RC",
                "@rc",
                "@foo",
                "#abc",
                " as 1.0",
                "  as  2.x-dev",
                " ",
                "\t",
            ]),
        ),
    )
        .prop_map(|(prefix, numbers, wildcard, modifier, dev, build, flag)| {
            [prefix, numbers, wildcard, modifier, dev, build, flag].concat()
        })
        .boxed()
}

fn branch() -> BoxedStrategy<String> {
    prop_oneof![
        "(dev-|DEV-|v)?(main|master|trunk|default|feature/[a-z]{1,4}|[a-zA-Z0-9._/#+-]{0,9})(-dev|\\.x-dev)?",
        "[vV]?[0-9]{1,3}(\\.([0-9]{1,2}|[xX*])){0,4}(-dev)?",
    ].boxed()
}

/// Any version text: plausible, a branch, or noise made of the characters that matter.
pub(crate) fn version() -> BoxedStrategy<String> {
    prop_oneof![
        8 => plausible_version(),
        2 => branch(),
        2 => "[v0-9.xabpRCdev@+ #,|*_:ü\n\\-]{0,14}",
        1 => any::<String>(),
    ]
    .boxed()
}

/// One term of a constraint, with an operator or as a range.
fn term() -> BoxedStrategy<String> {
    let operator = fixed(&[
        "", "", "^", "^", "~", "~", ">=", ">", "<", "<=", "=", "==", "!=", "<>", "~>", ">= ", "< ",
    ]);
    prop_oneof![
        6 => (operator.clone(), plausible_version()).prop_map(|(operator, version)| operator + &version),
        4 => (operator.clone(), small_version()).prop_map(|(operator, version)| operator + &version),
        6 => (operator, vec(0_u32..4, 1..=5)).prop_map(|(operator, numbers)| {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            operator + &numbers.join(".")
        }),
        3 => (small_version(), fixed(&[" - ", " - ", " -", "- ", "  - ", " -  "]), small_version())
            .prop_map(|(from, hyphen, to)| from + &hyphen + &to),
        3 => "v?[0-3](\\.[0-3]){0,3}(\\.[xX*]){1,2}",
        2 => fixed(&["*", "x", "v*", "X.X", "*.*", "@dev", "@stable", "*@beta", "", "1.x-dev#abc", ">=1.x-dev#a b"]),
        2 => branch(),
    ].boxed()
}

/// A version that often falls into the ranges of [`term`].
pub(crate) fn small_version() -> BoxedStrategy<String> {
    let suffix = fixed(&[
        "-alpha1", "-beta", "-RC1", "-rc2", "-RC1-dev", "-dev", "-p1", "@beta", "+b", "-stable",
        ".x-dev",
    ]);
    (vec(0_u32..4, 1..=4), maybe(3, suffix))
        .prop_map(|(numbers, suffix)| {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            numbers.join(".") + &suffix
        })
        .boxed()
}

fn conjunction() -> BoxedStrategy<String> {
    let separator = fixed(&[
        ",", " ", ", ", " ,", "  ", " , ", "  ,  ", ",,", " as ", ", as ",
    ]);
    let bounds = (0_u32..4, 0_u32..4).prop_map(|(from, to)| format!(">={from} <{to}"));
    prop_oneof![
        5 => term(),
        3 => vec((term(), separator), 2..4).prop_map(|terms| {
            terms.into_iter().map(|(term, separator)| term + &separator).collect::<String>()
        }),
        2 => (term(), fixed(&[" ", ",", ", "]), term()).prop_map(|(left, and, right)| left + &and + &right),
        2 => bounds,
    ].boxed()
}

/// Any constraint text.
pub(crate) fn constraint() -> BoxedStrategy<String> {
    let or = fixed(&["||", " || ", "|", " | ", "  ||  ", "|||", "\n||\t"]);
    prop_oneof![
        5 => conjunction(),
        4 => (conjunction(), vec((or, conjunction()), 0..3)).prop_map(|(first, rest)| {
            rest.into_iter().fold(first, |text, (or, part)| text + &or + &part)
        }),
        1 => "[v0-9.xdev@+ #,|*^~<>=!as\n\\-]{0,16}",
    ]
    .boxed()
}
