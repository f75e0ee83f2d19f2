use proptest::{option, prelude::*, sample::select};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::new(text)
}

fn scheduled(text: &str) -> Cadence {
    Cadence::At(Schedule::new(text).unwrap())
}

/// By how many seconds a repository is later than its schedule.
fn delay(cadence: &Cadence, name: &RepositoryName, time: &str) -> i64 {
    let time = at(time);
    let before = time - SignedDuration::from_secs(1);
    let due = cadence.next(name, before, Outcome::Succeeded);
    due.duration_since(time).as_secs()
}

fn failed(in_a_row: u32, lasting: bool, retry_after: Option<u64>) -> Outcome {
    Outcome::Failed {
        in_a_row,
        lasting,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

#[test]
fn backoff_doubles_up_to_its_bound() {
    assert_eq!(backoff(1), Duration::from_secs(5));
    assert_eq!(backoff(3), Duration::from_secs(20));
    assert_eq!(backoff(40), LONGEST_RETRY);
}

/// What operators and brokers of all releases agree on.
#[test]
fn delays_are_frozen() {
    let hourly = scheduled("0 * * * *");
    let delays = ["acme", "lib", "team"]
        .map(|name| delay(&hourly, &self::name(name), "2026-03-01T04:00:00Z"));
    assert_eq!(delays, [52, 0, 30]);
}

#[test]
fn many_repositories_do_not_start_together() {
    let names: Vec<_> = (0..600)
        .map(|number| name(&format!("repository-{number}")))
        .collect();
    for (schedule, most) in [
        ("0 * * * *", 60),
        ("*/5 * * * *", 30),
        ("* * * * *", 6),
        ("@yearly", 60),
    ] {
        let cadence = scheduled(schedule);
        let delays: Vec<i64> = names
            .iter()
            .map(|name| delay(&cadence, name, "2026-01-01T00:00:00Z"))
            .collect();
        for second in 0..=most {
            let count = delays.iter().filter(|delay| **delay == second).count();
            let fair = names.len() / usize::try_from(most + 1).unwrap();
            assert!(
                count < 4 * fair,
                "{count} of {schedule} start {second} s late"
            );
        }
        assert!(
            delays.iter().all(|delay| (0..=most).contains(delay)),
            "{schedule}"
        );
    }
}

#[test]
fn a_delay_is_always_the_same() {
    let hourly = scheduled("0 * * * *");
    let acme = name("acme");
    let first = delay(&hourly, &acme, "2026-01-01T00:00:00Z");
    for time in ["2026-01-01T01:00:00Z", "2031-07-31T23:00:00Z"] {
        assert_eq!(delay(&hourly, &acme, time), first);
    }
}

/// Asked again in the minute in which it is due, it is due still; after it, it is not due again.
#[test]
fn a_time_is_neither_lost_nor_taken_twice() {
    let hourly = scheduled("0 * * * *");
    for number in 0..20 {
        let name = name(&format!("repository-{number}"));
        let due = hourly.next(&name, at("2026-01-01T00:30:00Z"), Outcome::Succeeded);
        for second in (0..3_600).step_by(13).chain(1_790..1_870) {
            let asked = at("2026-01-01T00:30:00Z") + SignedDuration::from_secs(second);
            let next = hourly.next(&name, asked, Outcome::Succeeded);
            assert_eq!(next == due, asked < due, "{name} at {asked}");
        }
    }
}

#[test]
fn failures_are_tried_again_sooner_but_not_before_the_source_wants_it() {
    let ended = at("2026-01-01T00:10:00Z");
    let within = |cadence: &Cadence, outcome, from: u64, to: u64| {
        let next = cadence.next(&name("acme"), ended, outcome);
        let pause = next.duration_since(ended).unsigned_abs();
        let expected = Duration::from_secs(from)..=Duration::from_secs(to);
        assert!(
            expected.contains(&pause),
            "{cadence:?} {outcome:?} {pause:?}"
        );
    };
    let hour = Cadence::Every(Duration::from_hours(1));
    let short = Cadence::Every(Duration::from_secs(10));
    let hourly = scheduled("0 * * * *");
    within(&hour, Outcome::Succeeded, 3_600, 3_960);
    within(&hour, failed(1, false, None), 5, 6);
    within(&hour, failed(3, false, None), 20, 22);
    within(&hour, failed(99, false, None), 900, 990);
    within(&hour, failed(1, true, None), 900, 990);
    within(&hour, failed(1, false, Some(100)), 100, 110);
    within(&hour, failed(1, false, Some(86_400)), 3_600, 3_960);
    within(&short, failed(99, true, None), 10, 11);
    within(&short, failed(1, false, Some(100)), 100, 110);
    within(&hourly, Outcome::Succeeded, 3_000, 3_060);
    within(&hourly, failed(2, false, None), 10, 11);
    within(&scheduled("12 * * * *"), failed(99, false, None), 120, 180);
    within(&hourly, failed(1, false, Some(3_600)), 3_600, 3_960);
}

#[test]
fn the_period_is_the_time_between_two_syncs() {
    let now = at("2026-03-06T12:00:00Z");
    for (cadence, hours) in [
        (Cadence::Every(Duration::from_hours(2)), 2),
        (scheduled("0 */3 * * *"), 3),
        (scheduled("@weekly"), 168),
    ] {
        assert_eq!(cadence.period(now), Duration::from_hours(hours));
    }
}

fn any_cadence() -> impl Strategy<Value = Cadence> {
    let schedules = vec![
        "* * * * *",
        "*/7 8-18 * * mon-fri",
        "0 * * * *",
        "59 23 31 12 *",
        "@weekly",
        "0 0 29 2 *",
    ];
    prop_oneof![
        any::<Duration>().prop_map(Cadence::Every),
        (0..100_000u64).prop_map(|seconds| Cadence::Every(Duration::from_secs(seconds + 10))),
        select(schedules).prop_map(scheduled),
    ]
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let failure = (1..u32::MAX, any::<bool>(), option::of(any::<u64>()));
    option::of(failure).prop_map(|failure| match failure {
        None => Outcome::Succeeded,
        Some((in_a_row, lasting, retry_after)) => failed(in_a_row, lasting, retry_after),
    })
}

proptest! {
    #[test]
    fn the_next_sync_is_later_and_a_retry_is_no_later_than_need_be(
        cadence in any_cadence(),
        outcome in any_outcome(),
        name in "[a-z0-9-]{1,63}",
        millis in 0..4_000_000_000_000i64,
    ) {
        let (ended, name) = (Timestamp::from_millisecond(millis).unwrap(), RepositoryName::new(&name));
        let next = cadence.next(&name, ended, outcome);
        let regular = cadence.next(&name, ended, Outcome::Succeeded);
        if cadence.interval() != Some(Duration::ZERO) {
            prop_assert!(regular > ended);
        }
        let longest = ended + SignedDuration::from_mins(66);
        prop_assert!(next <= regular || next <= longest);
        prop_assert_eq!(next, cadence.next(&name, ended, outcome));
    }
}
