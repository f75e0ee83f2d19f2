//! How many may be at something at once, where that number can change meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets so many through at once, first come, first served.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    limit: Mutex<Limit>,
}

struct Limit {
    /// How many may be through.
    places: usize,
    /// Places that are given up by those who have them, not to be given to others: more are through than may be.
    surplus: usize,
}

/// A place within, until it is dropped.
pub(super) struct Place {
    gate: Arc<Gate>,
    /// Taken when it is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate for so many.
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            limit: Mutex::new(Limit { places, surplus: 0 }),
        })
    }

    /// From now on so many may be through. Nobody who is has to leave: where they are too many, others wait until enough
    /// of them have left.
    pub(super) fn set(&self, places: usize) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let (more, fewer) = (
            places.saturating_sub(limit.places),
            limit.places.saturating_sub(places),
        );
        limit.places = places;
        let kept = more.min(limit.surplus);
        limit.surplus -= kept;
        self.places.add_permits(more - kept);
        limit.surplus += fewer - self.places.forget_permits(fewer);
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>) -> Place {
        // Fails only where the semaphore was closed, and nobody closes it.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        Place {
            gate: Arc::clone(self),
            permit,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut limit = self
            .gate
            .limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(permit) = self.permit.take()
            && limit.surplus > 0
        {
            limit.surplus -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn try_enter(gate: &Arc<Gate>) -> Option<Place> {
        gate.enter().now_or_never()
    }

    #[test]
    fn who_is_through_stays_when_there_are_fewer_places() {
        let gate = Gate::new(2);
        let (first, second) = (try_enter(&gate), try_enter(&gate));
        assert!(first.is_some() && second.is_some() && try_enter(&gate).is_none());
        gate.set(1);
        drop(first);
        assert!(try_enter(&gate).is_none());
        drop(second);
        let third = try_enter(&gate);
        assert!(third.is_some() && try_enter(&gate).is_none());
    }

    #[tokio::test]
    async fn who_waits_enters_when_there_are_more_places() {
        let gate = Gate::new(1);
        let _first = gate.enter().await;
        let mut waiting = std::pin::pin!(gate.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        gate.set(2);
        waiting.await;
    }

    proptest! {
        /// Whatever happens, a place is to be had exactly when fewer are through than may be.
        #[test]
        fn the_limit_holds(steps in proptest::collection::vec((0..3u8, 1..9usize), 0..60)) {
            let gate = Gate::new(4);
            let (mut limit, mut within) = (4, VecDeque::new());
            for (step, places) in steps {
                match step {
                    0 => {
                        gate.set(places);
                        limit = places;
                    }
                    1 => drop(within.pop_front()),
                    _ => {
                        let place = try_enter(&gate);
                        prop_assert_eq!(place.is_some(), within.len() < limit);
                        within.extend(place);
                    }
                }
            }
        }
    }
}
