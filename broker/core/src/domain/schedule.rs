//! Times as a cron expression names them, in UTC.

use std::fmt;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions, parse_crontab_with};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The fields, each with what its values may be.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day", "1 to 31"),
    ("month", "1 to 12 or jan to dec"),
    ("weekday", "0 to 7 or sun to sat"),
];

/// Words for whole expressions.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What is searched at once: the parser's crate looks four years ahead and no further.
const WINDOW: SignedDuration = SignedDuration::from_hours(4 * 365 * 24);
/// So many of them are 40 years: no day of a month that falls on a certain weekday stays away for longer, not even
/// 29 February over the turn of a century.
const WINDOWS: usize = 11;
/// Where the search ends, in seconds: the start of the year 9900. Calendars here end with the year 9999.
const LAST: i64 = 250_247_836_800;

/// A text names no times.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Neither five fields nor a word that is known.
    #[error(
        "is not of five fields (minute, hour, day of the month, month and weekday), and no word such as @daily"
    )]
    Fields,
    /// A field that is wrong by itself.
    #[error(
        "has {text:?} as its {field}; values are {values}, ranges go upwards, and steps fit into them"
    )]
    Field {
        /// Its name.
        field: &'static str,
        /// As it was written.
        text: String,
        /// What it may hold.
        values: &'static str,
    },
    /// No such day is in the calendar.
    #[error("never comes: there is no such day in these months")]
    Never,
}

/// Times that come again and again: those of a cron expression.
///
/// Five fields, or a word such as `@daily`; as Vixie's cron, a day that is given by its number and by its weekday is one
/// of either, unless one of the two begins with `*`. The extensions `L`, `W`, `#` and `H` of other crons are not known.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    crontab: Box<Crontab>,
}

impl Schedule {
    /// The schedule of a cron expression.
    ///
    /// # Errors
    /// [`ScheduleError`] if it is none, or if its time never comes.
    pub fn new(text: &str) -> Result<Self, ScheduleError> {
        let word = WORDS.iter().find(|(word, _)| *word == text);
        let expression = word.map_or(text, |(_, expression)| expression);
        let parts: Vec<&str> = expression.split_ascii_whitespace().collect();
        let parts: [&str; 5] = parts.try_into().map_err(|_| ScheduleError::Fields)?;
        for (index, part) in parts.into_iter().enumerate() {
            let mut alone = ["*"; 5];
            alone[index] = part;
            if !is_plain(part) || parse(&alone.join(" ")).is_none() {
                let (field, values) = FIELDS[index];
                return Err(ScheduleError::Field {
                    field,
                    text: part.to_owned(),
                    values,
                });
            }
        }
        let crontab = parse(&parts.join(" ")).ok_or(ScheduleError::Fields)?;
        let schedule = Self {
            text: text.to_owned(),
            crontab: Box::new(crontab),
        };
        // Whatever the time is now, so that the verdict is the same everywhere.
        match schedule.search(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first time after this one; [`Timestamp::MAX`] at the end of the calendar.
    pub fn next(&self, after: Timestamp) -> Timestamp {
        self.search(after).unwrap_or(Timestamp::MAX)
    }

    fn search(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        for _ in 0..WINDOWS {
            if from.as_second() >= LAST {
                return None;
            }
            match self.crontab.find_next(MakeTimestamp(from)) {
                Ok(found) => return Some(found.timestamp()),
                Err(_) => from = from.saturating_add(WINDOW).unwrap_or(Timestamp::MAX),
            }
        }
        None
    }
}

/// Whether it is written as cron does everywhere: numbers, names of three letters, `*`, `,`, `-` and `/`.
fn is_plain(field: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "*,-/".contains(c);
    let mut words = field
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    field.chars().all(known) && words.all(|word| word.len() == 3)
}

fn parse(expression: &str) -> Option<Crontab> {
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    parse_crontab_with(expression, options).ok()
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.text).finish()
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        Self::new(&text)
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

#[cfg(test)]
mod tests;
