//! The task that keeps the connections.

use std::{sync::Arc, time::Duration};

use package_broker_core::ports::cache::Change;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Fault, HEARTBEAT, Link, RESPONSE, Server,
    line::{announce, prove},
};

/// The longest wait before the first try to connect again; each further one may wait twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait of all: how late a server that is back may be noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Connections that lasted this long show that the server is well: the waits start over.
const STEADY: Duration = Duration::from_secs(30);

/// Connects, again and again, until the task is dropped.
pub(super) async fn keep<S: Server>(server: Arc<S>) {
    let mut wait = Wait::default();
    let mut outage = Outage::default();
    loop {
        sleep(wait.next()).await;
        let reason = match server.connect().await {
            Ok((commands, words)) => {
                let started = Instant::now();
                let link = Link::new(commands);
                let fault = serve(&*server, &link, words, &mut outage).await;
                link.broken.cancel();
                if started.elapsed() >= STEADY {
                    wait.reset();
                }
                let cause = link.cause.get().cloned();
                cause.unwrap_or_else(|| fault.told(server.secrets()))
            }
            Err(fault) => fault.told(server.secrets()),
        };
        server.line().down(&reason);
        outage.began(&*server, &reason);
    }
}

/// Serves one link until it breaks.
async fn serve<S: Server>(
    server: &S,
    link: &Link<S::Commands>,
    words: S::Words,
    outage: &mut Outage,
) -> Fault<S::Error> {
    let watch = async {
        if let Err(fault) = prove(server, link).await {
            return fault;
        }
        server.line().up(link.clone());
        outage.ended(server);
        if server.line().owes() {
            // If that fails, it is owed again.
            let _told = announce(server, &Change::Everything).await;
        }
        loop {
            tidy(server, link).await;
            sleep(HEARTBEAT).await;
            match prove(server, link).await {
                Err(fault) if fault.breaks() => return fault,
                Ok(()) | Err(_) => {}
            }
        }
    };
    tokio::select! {
        fault = server.listen(words) => fault,
        fault = watch => fault,
        () = link.broken.cancelled() => Fault::Ended,
    }
}

/// Gives the server a moment to tidy up. Whether the connections work is for the proof to say: that there is much to
/// remove breaks nothing.
async fn tidy<S: Server>(server: &S, link: &Link<S::Commands>) {
    let tidying = server.tidy(link.commands.clone());
    if let Ok(Err(fault)) = timeout(RESPONSE, tidying).await {
        let reason = fault.told(server.secrets());
        tracing::debug!(
            server = server.line().place(),
            reason,
            "the cache could not be tidied up"
        );
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
    fn began<S: Server>(&mut self, server: &S, reason: &str) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(
                server = server.line().place(),
                reason,
                "{} does not answer; limits and word of changes are without it until it does",
                S::NAME
            );
        }
    }

    fn ended<S: Server>(&mut self, server: &S) {
        if let Some(since) = self.since.take() {
            tracing::info!(
                server = server.line().place(),
                seconds = since.elapsed().as_secs(),
                "{} answers again",
                S::NAME
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
