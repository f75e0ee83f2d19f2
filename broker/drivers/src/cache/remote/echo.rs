//! Words of our own that have not come round yet.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Who waits for which of our words.
#[derive(Debug, Default)]
pub(super) struct Echoes(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    sent: u64,
    by_number: HashMap<u64, oneshot::Sender<()>>,
}

/// A word to be heard again. Forgotten when dropped.
pub(super) struct Echo<'e> {
    echoes: &'e Echoes,
    pub(super) number: u64,
    heard: oneshot::Receiver<()>,
}

impl Echoes {
    pub(super) fn expect(&self) -> Echo<'_> {
        let (sender, heard) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.sent += 1;
        let number = waiting.sent;
        waiting.by_number.insert(number, sender);
        Echo {
            echoes: self,
            number,
            heard,
        }
    }

    /// Tells who waits for it that word `number` has come round.
    pub(super) fn heard(&self, number: u64) {
        if let Some(sender) = self.lock().by_number.remove(&number) {
            // An error says only that it waits no longer.
            let _waits = sender.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Echo<'_> {
    /// Waits until it has come round.
    pub(super) async fn come(&mut self) {
        // The sender is dropped only after it was used, or with this value.
        let _heard = (&mut self.heard).await;
    }
}

impl Drop for Echo<'_> {
    fn drop(&mut self) {
        self.echoes.lock().by_number.remove(&self.number);
    }
}
