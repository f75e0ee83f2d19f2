//! Times as cron writes them.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{plain_text, quoting_rule, text_schema};

plain_text! {
    /// Times as cron writes them, in five fields: minute, hour, day of the month, month, weekday; or a word such as
    /// `@daily`.
    ///
    /// The rule takes what regular expressions can tell. That ranges go upwards, that steps fit, and that such a day
    /// ever comes, is judged beside the schema, by whoever reads it.
    CronExpression
}

/// What a field may be, from what a single value may be: `*` or a value or a range, each with a step, and lists of them.
fn field(value: &str) -> String {
    let item = format!("([*]|({value})(-({value}))?)(/[1-9][0-9]?)?");
    format!("{item}(,{item})*")
}

static CRON: LazyLock<String> = LazyLock::new(|| {
    let fields = [
        "[0-5]?[0-9]",
        "[01]?[0-9]|2[0-3]",
        "0?[1-9]|[12][0-9]|3[01]",
        "0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
        "0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat)",
    ];
    let fields = fields.map(field).join(" +");
    format!("^({fields}|@(yearly|annually|monthly|weekly|daily|midnight|hourly))$")
});

text_schema!(
    CronExpression,
    128,
    [quoting_rule(
        &format!("self.matches('{}')", *CRON),
        "a cron expression",
        "write minute, hour, day, month and weekday in UTC, for instance 30 3 * * 1-5",
    )]
);
