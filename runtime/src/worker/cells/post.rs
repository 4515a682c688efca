//! What a guest of a cell wants done, passed on to its worker.

use super::serve::Floor;
use super::wire::{Answer, Ask, FromCell, Kept, Octets};
use celeriac_sandbox::{
    KeepError, Keeper, Keeping, Room, Sender, Sending, Signature, SubmitError, When, Wish,
};
use std::sync::Arc;
use tokio::sync::oneshot;

const GONE: &str = "the worker is gone";

/// Asks the worker for a guest, which waits.
#[derive(Debug)]
pub(super) struct Post {
    floor: Arc<Floor>,
    run: u64,
}

impl Post {
    pub(super) fn new(floor: Arc<Floor>, run: u64) -> Self {
        Self { floor, run }
    }

    async fn ask(&self, ask: Ask) -> Option<Answer> {
        let run = self.run;
        let (answer, answered) = oneshot::channel();
        self.floor.waits(run, answer);
        self.floor.tell(FromCell::Ask { run, ask }).await;
        answered.await.ok()
    }

    async fn send(&self, ask: Ask) -> Result<String, SubmitError> {
        match self.ask(ask).await {
            Some(Answer::Sent(sent)) => sent,
            Some(Answer::Kept(_)) | None => Err(SubmitError::Unavailable(GONE.to_owned())),
        }
    }

    /// Asks the store; `read` takes what is wanted out of its answer.
    fn keep<T: Send + 'static>(
        &self,
        ask: Ask,
        read: impl FnOnce(Kept) -> Option<T> + Send + 'static,
    ) -> Keeping<'_, T> {
        Box::pin(async move {
            let gone = || KeepError::Unavailable(GONE.to_owned());
            match self.ask(ask).await {
                Some(Answer::Kept(kept)) => read(kept?).ok_or_else(gone),
                Some(Answer::Sent(_)) | None => Err(gone()),
            }
        })
    }
}

impl Sender for Post {
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a> {
        let wish = wish.clone();
        Box::pin(Post::send(self, Ask::Wish { wish, when, index }))
    }

    fn replace<'a>(&'a self, signature: &'a Signature) -> Sending<'a> {
        let signature = signature.clone();
        Box::pin(Post::send(self, Ask::Replace { signature }))
    }
}

/// The room is not told: the worker knows it better.
impl Keeper for Post {
    fn get(&self, keys: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>> {
        self.keep(Ask::Get { keys }, |kept| match kept {
            Kept::Values(values) => {
                let bytes = |value: Option<Octets>| value.map(|octets| octets.0.into());
                Some(values.into_iter().map(bytes).collect())
            }
            Kept::Done | Kept::Keys(_) | Kept::Sum(_) => None,
        })
    }

    fn set(&self, pairs: Vec<(String, Vec<u8>)>, _: Room) -> Keeping<'_, ()> {
        let pairs = pairs.into_iter();
        let pairs = pairs.map(|(key, value)| (key, Octets(value.into())));
        let pairs = pairs.collect();
        self.keep(Ask::Set { pairs }, done)
    }

    fn delete(&self, keys: Vec<String>) -> Keeping<'_, ()> {
        self.keep(Ask::Delete { keys }, done)
    }

    fn keys(&self, after: u64) -> Keeping<'_, Vec<String>> {
        self.keep(Ask::Keys { after }, |kept| match kept {
            Kept::Keys(keys) => Some(keys),
            Kept::Done | Kept::Values(_) | Kept::Sum(_) => None,
        })
    }

    fn increment(&self, key: String, delta: u64, _: Room) -> Keeping<'_, u64> {
        self.keep(Ask::Increment { key, delta }, |kept| match kept {
            Kept::Sum(sum) => Some(sum),
            Kept::Done | Kept::Values(_) | Kept::Keys(_) => None,
        })
    }
}

fn done(kept: Kept) -> Option<()> {
    matches!(kept, Kept::Done).then_some(())
}
