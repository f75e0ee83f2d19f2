//! Whether the schedule of a `Repository` names times: what its form cannot tell.

use package_broker_core::domain::schedule::{Schedule, ScheduleError};
use package_broker_crds::RepositorySync;

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Reads on from the field, [`PATH`].
    pub message: String,
    /// What to do.
    pub fix: &'static str,
}

/// The field that it is about.
pub const PATH: [&str; 3] = ["spec", "sync", "schedule"];

/// The times at which a source is read, if a schedule says them.
pub(crate) fn read(sync: &RepositorySync) -> Option<Result<Schedule, ScheduleError>> {
    let text = sync.schedule.as_ref()?.as_str();
    Some(Schedule::new(text))
}

/// Why a schedule cannot be kept to.
pub fn mistake(sync: &RepositorySync) -> Option<Mistake> {
    let text = sync.schedule.as_ref()?.as_str();
    let error = read(sync)?.err()?;
    let fix = match error {
        ScheduleError::Never => "name a day that one of the months has",
        ScheduleError::Fields | ScheduleError::Field { .. } => {
            "write minute, hour, day, month and weekday in UTC, for instance 30 3 * * 1-5"
        }
    };
    Some(Mistake {
        message: format!("{text:?} {error}"),
        fix,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use package_broker_core::domain::cadence::Cadence;
    use package_broker_crds::{Repository, RepositorySpec};
    use serde_json::{Value, json};

    use super::*;
    use crate::RepositorySecrets;

    fn spec(sync: &Value) -> RepositorySpec {
        let spec = json!({
            "brokerRef": {"name": "main"}, "type": "composer", "url": "https://repo.example.com", "sync": sync,
        });
        serde_json::from_value(spec).unwrap()
    }

    fn said(schedule: &str) -> String {
        let mistake = mistake(&spec(&json!({"schedule": schedule})).sync);
        mistake.map_or_else(String::new, |mistake| {
            format!("{}; {}", mistake.message, mistake.fix)
        })
    }

    #[test]
    fn schedules_are_judged_beyond_their_form() {
        for right in ["30 3 * * 1-5", "@hourly", "0 0 29 2 *", "0 0 30,31 1-2 *"] {
            assert_eq!(said(right), "", "{right}");
        }
        assert_eq!(
            said("0 0 31 feb *"),
            "\"0 0 31 feb *\" never comes: there is no such day in these months; name a day that one of the months has"
        );
        for (wrong, field) in [
            (
                "0 20-5 * * *",
                "\"20-5\" as its hour; values are 0 to 23, ranges go upwards",
            ),
            ("*/60 * * * *", "\"*/60\" as its minute; values are 0 to 59"),
            (
                "0 0 * * fri-mon",
                "\"fri-mon\" as its weekday; values are 0 to 7 or sun to sat",
            ),
        ] {
            let said = said(wrong);
            assert!(
                said.contains(field) && said.ends_with("for instance 30 3 * * 1-5"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_is_said_decides_when_a_source_is_read() {
        for (sync, expected) in [
            (json!({}), Cadence::Every(Duration::from_hours(1))),
            (
                json!({"interval": "5m"}),
                Cadence::Every(Duration::from_mins(5)),
            ),
            (
                json!({"schedule": "@daily"}),
                Cadence::At(Schedule::new("@daily").unwrap()),
            ),
        ] {
            let repository = crate::repository(
                &Repository::new("lib", spec(&sync)),
                &RepositorySecrets::default(),
            );
            assert_eq!(repository.cadence, expected, "{sync}");
        }
    }
}
