//! Schedules of syncs: what their form may be. What it cannot tell is in `package_broker_kinds::schedule`.

use serde_json::json;

use super::*;

fn at(schedule: &str) -> Value {
    composer(json!({"sync": {"schedule": schedule}}))
}

#[test]
fn cron_expressions_are_taken() {
    for schedule in [
        "* * * * *",
        "30 3 * * 1-5",
        "00 03  1 01  *",
        "*/15 0-23/2 1,15 jan-Mar,DEC MON,3,sat",
        "59 23 31 12 7",
        "5/20 * * * sun",
        "@hourly",
        "@midnight",
    ] {
        assert_eq!(verdict(&at(schedule)), "", "{schedule}");
    }
}

#[test]
fn what_is_no_cron_expression_is_quoted() {
    for schedule in [
        "",
        "1h",
        "* * * *",
        "0 30 3 * * *",
        "30 3 * * 1-5 Europe/Berlin",
        " 30 3 * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * may-fry *",
        "* * * * 8",
        "*/0 * * * *",
        "-5 * * * *",
        "*-5 * * * *",
        "1, * * * *",
        "0 0 L * *",
        "0 0 * * 5#3",
        "H * * * *",
        "0 0 ? * *",
        "@every 5m",
        "@reboot",
        "@Daily",
    ] {
        assert_eq!(
            verdict(&at(schedule)),
            format!(
                "spec.sync.schedule: \"{schedule}\" is not a cron expression; \
                 write minute, hour, day, month and weekday in UTC, for instance 30 3 * * 1-5"
            )
        );
    }
}

#[test]
fn a_schedule_and_an_interval_exclude_each_other() {
    assert_eq!(
        verdict(&composer(
            json!({"sync": {"schedule": "@daily", "interval": "1h"}})
        )),
        "spec.sync.interval: a schedule says when, so that interval would have no effect; remove one of the two"
    );
    let alone = json!({"sync": {"schedule": "@daily", "timeout": "1h", "mode": "lazy"}});
    assert_eq!(verdict(&composer(alone)), "");
    assert_eq!(verdict(&composer(json!({"sync": {"interval": "1h"}}))), "");
}

#[test]
fn a_long_schedule_is_judged_too() {
    let minutes: Vec<String> = (0..45).map(|minute| minute.to_string()).collect();
    let schedule = |count: usize| format!("{} * * * *", minutes[..count].join(","));
    assert!(schedule(42).len() <= 128 && schedule(45).len() > 128);
    assert_eq!(verdict(&at(&schedule(42))), "");
    assert_eq!(
        verdict(&at(&schedule(45))),
        "spec.sync.schedule: is longer than 128 characters; shorten it"
    );
}
