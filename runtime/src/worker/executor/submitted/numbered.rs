//! What the many calls of one attempt submit, numbered as if one guest did: each task
//! that is sent has an id of its own, and the limits of one attempt hold for all.

use celeriac_sandbox::{HELD_BYTES, SUBMITS, Sender, Sending, Signature, SubmitError, When, Wish};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hands on what is submitted, under the numbers of the whole attempt.
#[derive(Debug)]
pub(in crate::worker::executor) struct Numbered {
    post: Arc<dyn Sender>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The number of the first wish of the call that runs.
    first: u32,
    /// The next number that nobody has.
    next: u32,
    tasks: u32,
    held: u64,
}

impl Numbered {
    pub(in crate::worker::executor) fn new(post: Arc<dyn Sender>) -> Self {
        Self {
            post,
            counts: Mutex::default(),
        }
    }

    /// Begins the next call, and returns the number of its first wish.
    pub(in crate::worker::executor) fn next(&self) -> u32 {
        let mut counts = self.counts();
        counts.first = counts.next;
        counts.first
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a wish needs of the limits, and returns its number.
    fn take(&self, wish: &Wish, when: When, index: u32) -> Result<u32, SubmitError> {
        let mut counts = self.counts();
        let number = counts.first.saturating_add(index);
        counts.next = counts.next.max(number.saturating_add(1));
        let tasks = counts.tasks.saturating_add(wish.count());
        if tasks > SUBMITS {
            return Err(SubmitError::too_many(tasks));
        }
        let held = match when {
            When::Now => counts.held,
            When::OnSuccess => counts.held.saturating_add(bytes(wish)),
        };
        if held > HELD_BYTES {
            return Err(SubmitError::too_much());
        }
        (counts.tasks, counts.held) = (tasks, held);
        Ok(number)
    }
}

impl Sender for Numbered {
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a> {
        match self.take(wish, when, index) {
            Ok(number) => self.post.send(wish, when, number),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn replace<'a>(&'a self, signature: &'a Signature) -> Sending<'a> {
        self.post.replace(signature)
    }
}

/// What a wish holds until the attempt is over, its names aside.
fn bytes(wish: &Wish) -> u64 {
    let bytes = match wish {
        Wish::Job(job) => {
            let headers = job.headers.iter();
            let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
            job.args.len() + job.kwargs.len() + headers
        }
        Wish::Signature(signature) => signature.json.len(),
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::Job;

    /// Answers with the number.
    #[derive(Debug)]
    struct Echo;

    impl Sender for Echo {
        fn send<'a>(&'a self, _wish: &'a Wish, _when: When, index: u32) -> Sending<'a> {
            Box::pin(std::future::ready(Ok(index.to_string())))
        }

        fn replace<'a>(&'a self, _signature: &'a Signature) -> Sending<'a> {
            Box::pin(std::future::ready(Ok("replaced".to_owned())))
        }
    }

    fn job(bytes: usize) -> Wish {
        Wish::Job(Job {
            args: vec![b' '; bytes].into(),
            ..Job::default()
        })
    }

    #[tokio::test]
    async fn the_wishes_of_many_calls_are_numbered_on() {
        let numbered = Numbered::new(Arc::new(Echo));
        let mut seen = Vec::new();
        for wishes in [2, 0, 3] {
            let first = numbered.next();
            for index in 0..wishes {
                let sent = numbered.send(&job(1), When::Now, index).await.unwrap();
                assert_eq!(sent, (first + index).to_string());
                seen.push(sent);
            }
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4"]);
    }

    #[tokio::test]
    async fn all_calls_together_submit_no_more_than_one_attempt_may() {
        let numbered = Numbered::new(Arc::new(Echo));
        for _ in 0..SUBMITS {
            numbered.next();
            numbered.send(&job(0), When::Now, 0).await.unwrap();
        }
        numbered.next();
        let over = numbered.send(&job(0), When::Now, 0).await;
        assert_eq!(over, Err(SubmitError::too_many(SUBMITS + 1)));

        let numbered = Numbered::new(Arc::new(Echo));
        let half = usize::try_from(HELD_BYTES / 2).unwrap();
        for expected in [
            Ok("0".to_owned()),
            Ok("1".to_owned()),
            Err(SubmitError::too_much()),
        ] {
            numbered.next();
            let sent = numbered.send(&job(half), When::OnSuccess, 0).await;
            assert_eq!(sent, expected);
        }
        numbered.next();
        assert!(numbered.send(&job(half), When::Now, 0).await.is_ok());
    }
}
