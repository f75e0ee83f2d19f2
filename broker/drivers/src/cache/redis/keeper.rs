//! The task that keeps the connections.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use redis::aio::PubSub;
use tokio::time::{Instant, sleep};

use super::{
    HEARTBEAT,
    fault::Fault,
    link::{Link, Shared},
};

/// The longest wait before the first try to connect again; each further one may wait twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait of all: how late a server that is back may be noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Connections that lasted this long show that the server is well: the waits start over.
const STEADY: Duration = Duration::from_secs(30);

/// Connects, again and again, until the task is dropped.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut wait = Wait::default();
    let mut outage = Outage::default();
    loop {
        sleep(wait.next()).await;
        let reason = match shared.connect().await {
            Ok((link, listener)) => {
                let started = Instant::now();
                let fault = serve(&shared, &link, listener, &mut outage).await;
                link.broken.cancel();
                if started.elapsed() >= STEADY {
                    wait.reset();
                }
                let cause = link.cause.get().cloned();
                cause.unwrap_or_else(|| shared.told(&fault))
            }
            Err(fault) => shared.told(&fault),
        };
        shared.down(&reason);
        outage.began(&shared, &reason);
    }
}

/// Serves one link until it breaks.
async fn serve(shared: &Shared, link: &Link, listener: PubSub, outage: &mut Outage) -> Fault {
    // Both halves have to live: the connection ends with either.
    let (_sink, mut words) = listener.split();
    let listen = async {
        while let Some(word) = words.next().await {
            shared.hear(&word);
        }
        Fault::Ended
    };
    let watch = async {
        if let Err(fault) = shared.prove(link).await {
            return fault;
        }
        shared.up(link.clone());
        outage.ended(shared);
        shared.pay().await;
        loop {
            sleep(HEARTBEAT).await;
            match shared.prove(link).await {
                Err(fault) if fault.breaks() => return fault,
                Ok(()) | Err(_) => {}
            }
        }
    };
    tokio::select! {
        fault = listen => fault,
        fault = watch => fault,
        () = link.broken.cancelled() => Fault::Ended,
    }
}

/// Waits that grow, of random length so that replicas do not all come at once.
#[derive(Default)]
struct Wait {
    tries: u32,
}

impl Wait {
    fn next(&mut self) -> Duration {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        if tries == 0 {
            return Duration::ZERO;
        }
        let longest = FIRST_WAIT
            .saturating_mul(1 << (tries - 1).min(16))
            .min(LONGEST_WAIT);
        // Without random bytes, all wait as long.
        let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
        longest.mul_f64(0.5 + share / 2.0)
    }

    fn reset(&mut self) {
        self.tries = 1;
    }
}

/// Tells of each outage once.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
}

impl Outage {
    fn began(&mut self, shared: &Shared, reason: &str) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(
                server = shared.server(),
                reason,
                "Redis does not answer; limits and word of changes are without it until it does"
            );
        }
    }

    fn ended(&mut self, shared: &Shared) {
        if let Some(since) = self.since.take() {
            tracing::info!(
                server = shared.server(),
                seconds = since.elapsed().as_secs(),
                "Redis answers again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest() {
        let mut wait = Wait::default();
        assert_eq!(wait.next(), Duration::ZERO);
        for doubling in 0..40 {
            let longest = FIRST_WAIT
                .saturating_mul(1 << doubling.min(10))
                .min(LONGEST_WAIT);
            let waited = wait.next();
            assert!(waited >= longest / 2 && waited <= longest, "{waited:?}");
        }
        wait.reset();
        assert!(wait.next() <= FIRST_WAIT);
    }
}
