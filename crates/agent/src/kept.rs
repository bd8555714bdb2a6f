//! A message whose turn begins while the store is still writing it down.
//!
//! Nobody has been told yet that such a message was taken, and a call of a model leaves no traces:
//! the two may run side by side. Whatever comes after waits for the store's word: no tool runs, and
//! nothing of the turn is stored or told, before the message is durable.

use tokio::sync::watch;

/// The word of the store that a message is durable, for whoever must wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Kept(watch::Receiver<bool>);

/// The other end. Dropped without [`Keeping::done`], it says that the store refused.
#[derive(Debug)]
pub(crate) struct Keeping(watch::Sender<bool>);

pub(crate) fn pair() -> (Keeping, Kept) {
    let (sender, receiver) = watch::channel(false);
    (Keeping(sender), Kept(receiver))
}

impl Keeping {
    pub(crate) fn done(self) {
        // The turn may be over already: cut, for example.
        let _ = self.0.send(true);
    }
}

impl Kept {
    /// True once the message is durable; false if it never will be.
    pub(crate) async fn wait(&mut self) -> bool {
        self.0.wait_for(|kept| *kept).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::pair;

    #[tokio::test]
    async fn what_the_store_says_is_heard_before_and_after_it_was_asked() {
        let (keeping, mut kept) = pair();
        let mut early = kept.clone();
        let waiting = tokio::spawn(async move { early.wait().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the store has not spoken");
        keeping.done();
        assert!(waiting.await.unwrap() && kept.wait().await);
        let (keeping, mut kept) = pair();
        drop(keeping);
        assert!(!kept.wait().await, "silence for good is a refusal");
    }
}
