use proptest::{prelude::*, sample::select};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next(schedule: &str, after: &str) -> String {
    Schedule::new(schedule).unwrap().next(at(after)).to_string()
}

#[test]
fn the_next_time_is_that_of_the_calendar() {
    for (schedule, after, expected) in [
        ("* * * * *", "2026-03-01T00:00:00Z", "2026-03-01T00:01:00Z"),
        (
            "* * * * *",
            "2026-03-01T00:00:59.9Z",
            "2026-03-01T00:01:00Z",
        ),
        ("0 * * * *", "2026-12-31T23:00:01Z", "2027-01-01T00:00:00Z"),
        ("@hourly", "2026-12-31T23:00:01Z", "2027-01-01T00:00:00Z"),
        (
            "*/15 8-9 * * *",
            "2026-03-01T09:45:00Z",
            "2026-03-02T08:00:00Z",
        ),
        (
            "5/20 * * * *",
            "2026-03-01T09:25:00Z",
            "2026-03-01T09:45:00Z",
        ),
        // A Friday, and the Monday after it.
        (
            "30 3 * * 1-5",
            "2026-03-06T03:30:00Z",
            "2026-03-09T03:30:00Z",
        ),
        (
            "30 3 * * mon-FRI",
            "2026-03-06T03:30:00Z",
            "2026-03-09T03:30:00Z",
        ),
        ("0 0 * * 7", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"),
        ("@weekly", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"),
        ("0 0 31 * *", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"),
        (
            "0 0 31 jan,feb *",
            "2026-03-31T00:00:00Z",
            "2027-01-31T00:00:00Z",
        ),
        ("@yearly", "2026-03-31T00:00:00Z", "2027-01-01T00:00:00Z"),
        // Either of the two days.
        (
            "0 0 13 * fri",
            "2026-03-06T00:00:00Z",
            "2026-03-13T00:00:00Z",
        ),
        (
            "0 0 14 * fri",
            "2026-03-13T00:00:00Z",
            "2026-03-14T00:00:00Z",
        ),
        ("0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
        // 2100 is no leap year.
        ("0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"),
        // 29 February on a Sunday: 2088, not 2092 or 2096, not 2100, … 2128 is the next.
        (
            "0 0 29 2 */7",
            "2088-02-29T00:00:00Z",
            "2128-02-29T00:00:00Z",
        ),
    ] {
        assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
    }
}

#[test]
fn what_is_no_schedule_is_told() {
    for (text, told) in [
        ("", "five fields"),
        ("@fortnightly", "no word such as @daily"),
        ("30 3 * * 1-5 Europe/Berlin", "five fields"),
        ("60 * * * *", "\"60\" as its minute; values are 0 to 59"),
        (
            "* 20-5 * * *",
            "\"20-5\" as its hour; values are 0 to 23, ranges go upwards",
        ),
        ("* * */32 * *", "\"*/32\" as its day"),
        ("* * * foo *", "\"foo\" as its month"),
        ("* * * * fri-mon", "\"fri-mon\" as its weekday"),
        ("* * L * *", "\"L\" as its day"),
        ("* * 15W * *", "\"15W\" as its day"),
        ("* * * * 5L", "\"5L\" as its weekday"),
        ("* * * * 5#1", "\"5#1\" as its weekday"),
        ("H * * * *", "\"H\" as its minute"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 31 2,4,6,9,11 *", "never comes"),
        ("0 0 30-31 feb *", "never comes"),
    ] {
        let error = Schedule::new(text).unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn the_end_of_the_calendar_is_no_end_of_the_program() {
    let schedule = Schedule::new("@daily").unwrap();
    assert_eq!(schedule.next(Timestamp::MAX), Timestamp::MAX);
    assert_eq!(schedule.next(at("9998-12-31T00:00:00Z")), Timestamp::MAX);
    assert!(schedule.next(Timestamp::MIN) > Timestamp::MIN);
}

#[test]
fn a_schedule_is_stored_as_its_text() {
    let schedule = Schedule::new("@daily").unwrap();
    let text = serde_json::to_string(&schedule).unwrap();
    assert_eq!(text, r#""@daily""#);
    assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
    let error = serde_json::from_str::<Schedule>(r#""0 0 31 2 *""#).unwrap_err();
    assert!(error.to_string().contains("never comes"), "{error}");
}

/// Expressions that are right, of every form.
fn any_schedule() -> impl Strategy<Value = Schedule> {
    let minutes = select(vec!["*", "0", "*/7", "5-40/5", "59", "1,2,30"]);
    let hours = select(vec!["*", "3", "8-18", "*/5"]);
    let days = select(vec!["*", "1", "31", "*/10", "10-20"]);
    let months = select(vec!["*", "jan", "2,dec", "3-9/2"]);
    let weekdays = select(vec!["*", "0", "mon-fri", "6,7"]);
    (minutes, hours, days, months, weekdays).prop_filter_map("never comes", |fields| {
        let (minute, hour, day, month, weekday) = fields;
        Schedule::new(&format!("{minute} {hour} {day} {month} {weekday}")).ok()
    })
}

proptest! {
    #[test]
    fn times_are_whole_minutes_and_none_is_passed_over(
        schedule in any_schedule(),
        after in 0..4_000_000_000i64,
        earlier in 0..3_600i64,
    ) {
        let after = Timestamp::from_second(after).unwrap();
        let next = schedule.next(after);
        prop_assert!(next > after && next.as_second() % 60 == 0);
        // Asked a while before, it is the same, or there is one in between.
        let before = schedule.next(after - SignedDuration::from_secs(earlier));
        prop_assert!(before == next || before <= after);
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[-0-9*/, a-zA-Z@#?]{0,24}|\\PC{0,16}") {
        if let Ok(schedule) = Schedule::new(&text) {
            prop_assert_eq!(schedule.as_str(), text);
        }
    }
}
