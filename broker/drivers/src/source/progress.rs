//! Long work says now and then where it is.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// Does work and calls `tell` each time as much of it has passed as `every`.
pub(super) async fn telling<T>(
    every: Duration,
    tell: impl Fn(),
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => tell(),
        }
    }
}
