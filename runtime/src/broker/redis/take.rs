//! Taking messages, so that none is lost when the taker goes away meanwhile.

use super::{BrokerError, Delivery, FETCH_BYTES, FETCH_MESSAGES, Inner, SYSTEM, script, trouble};
use crate::broker::Settlement;
use crate::celery::envelope::Envelope;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Most parked messages of a queue that one take makes ready.
const PROMOTED: usize = 1_000;

type Taken = Result<Vec<Delivery>, BrokerError>;

/// The broker went away while somebody waited for it.
fn closed<T>() -> Result<T, BrokerError> {
    Err(BrokerError::Unavailable {
        system: SYSTEM,
        reason: "the broker was closed".to_owned(),
        source: None,
    })
}

/// Those who take for a fetch: they go on when the fetch is dropped, and end
/// with the broker.
#[derive(Debug, Default)]
pub(super) struct Takers(Mutex<JoinSet<()>>);

impl Takers {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut takers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while takers.try_join_next().is_some() {}
        takers.spawn(work);
    }
}

/// What somebody waits for. Who goes away after it was sent and before it was looked at
/// leaves it to `unheard`.
struct Answer<T, F: FnMut(T)> {
    sent: oneshot::Receiver<T>,
    unheard: F,
}

impl<T, F: FnMut(T)> Answer<T, F> {
    async fn heard(mut self) -> Option<T> {
        (&mut self.sent).await.ok()
    }
}

impl<T, F: FnMut(T)> Drop for Answer<T, F> {
    fn drop(&mut self) {
        // From now on its sender hears that nobody waits.
        self.sent.close();
        if let Ok(sent) = self.sent.try_recv() {
            (self.unheard)(sent);
        }
    }
}

/// Takes what is there right now. Cancel-safe: what nobody waits for any more
/// is given back.
pub(super) async fn take(inner: &Arc<Inner>, queues: &[String], max: usize) -> Taken {
    let (answer, sent) = oneshot::channel();
    // Held weakly, so that the broker and its takers end together.
    let (taker, queues) = (Arc::downgrade(inner), queues.to_vec());
    inner.takers.spawn({
        let taker = Weak::clone(&taker);
        async move {
            let Some(taker) = taker.upgrade() else {
                return;
            };
            let taken = taker.take(&queues, max).await;
            if let Err(Ok(unwanted)) = answer.send(taken) {
                taker.give_up(unwanted).await;
            }
        }
    });
    let unheard = |taken: Taken| {
        // Where the runtime ends, the leases lapse.
        if let (Ok(unwanted), Some(taker), Ok(_)) = (taken, taker.upgrade(), Handle::try_current())
        {
            let giver = Arc::clone(&taker);
            taker
                .takers
                .spawn(async move { giver.give_up(unwanted).await });
        }
    };
    let taken = Answer { sent, unheard }.heard().await;
    taken.unwrap_or_else(closed)
}

/// Does work that goes on to its end when its caller goes away.
pub(super) async fn apart<T: Send + 'static, W>(
    inner: &Arc<Inner>,
    work: impl FnOnce(Arc<Inner>) -> W,
) -> Result<T, BrokerError>
where
    W: Future<Output = Result<T, BrokerError>> + Send + 'static,
{
    let (answer, done) = oneshot::channel();
    let work = work(Arc::clone(inner));
    inner.takers.spawn(async move {
        // Its caller may be gone: then nobody asks.
        let _unasked = answer.send(work.await);
    });
    done.await.unwrap_or_else(|_| closed())
}

/// What the script puts after an envelope in kombu's `unacked`.
pub(super) fn ending(queue: &str) -> String {
    format!(", \"\", {}]", serde_json::Value::from(queue))
}

impl Inner {
    async fn take(&self, queues: &[String], max: usize) -> Taken {
        let max = max.clamp(1, FETCH_MESSAGES);
        let first = self.held.reserve(max);
        let now = self.now();
        let mut take = script::TAKE.prepare_invoke();
        take.key(&self.keys.unacked).key(&self.keys.unacked_index);
        take.arg(now.as_millisecond())
            .arg(self.taken_at())
            .arg(self.lease_end())
            .arg(max)
            .arg(FETCH_BYTES)
            .arg(self.held.tags())
            .arg(first)
            .arg(PROMOTED);
        for queue in queues {
            take.key(self.keys.parked(queue))
                .key(self.keys.leases(queue));
            for list in self.keys.lists(queue) {
                take.key(list);
            }
            take.arg(serde_json::Value::from(queue.as_str()).to_string());
        }
        let taken: Vec<Vec<u8>> = take
            .invoke_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        let deliveries = taken.chunks_exact(2).zip(first..);
        Ok(deliveries
            .filter_map(|(pair, number)| {
                let [place, raw] = pair else { return None };
                let place: usize = std::str::from_utf8(place).ok()?.parse().ok()?;
                Some(self.delivery(queues.get(place)?, number, raw, now))
            })
            .collect())
    }

    fn delivery(&self, queue: &str, number: i64, raw: &[u8], now: Timestamp) -> Delivery {
        let Envelope { message, ours } = Envelope::read(raw);
        let ready_at = ours
            .ready_at
            .and_then(|at| Timestamp::from_millisecond(at).ok());
        Delivery {
            queue: queue.to_owned(),
            message,
            receipt: self.held.hold(number, queue, ours.key),
            deliveries: ours.deliveries.saturating_add(1),
            ready_at: ready_at.unwrap_or(now),
            replaced: false,
        }
    }

    /// Gives back what was taken for nobody. Where that is not heard, the leases
    /// lapse.
    async fn give_up(self: &Arc<Self>, unwanted: Vec<Delivery>) {
        let broker = super::RedisBroker {
            inner: Arc::clone(self),
            bindings: Arc::default(),
        };
        for delivery in unwanted.iter().rev() {
            let given = super::Broker::settle(&broker, delivery, Settlement::Requeue).await;
            if let Err(error) = given {
                tracing::warn!(%error, "a message that nobody waited for comes back with its lease");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends an answer to somebody who goes away before or after looking at it.
    async fn left(looks: bool) -> (Option<u8>, Vec<u8>) {
        let (answer, sent) = oneshot::channel();
        let (mut heard, mut unheard) = (None, Vec::new());
        let waiting = Answer {
            sent,
            unheard: |answer| unheard.push(answer),
        };
        answer.send(7).unwrap();
        match looks {
            true => heard = waiting.heard().await,
            false => drop(waiting),
        }
        (heard, unheard)
    }

    #[tokio::test]
    async fn an_answer_that_came_as_its_waiter_left_goes_back_and_one_that_was_heard_does_not() {
        assert_eq!(left(false).await, (None, vec![7]));
        assert_eq!(left(true).await, (Some(7), Vec::new()));
        let (answer, sent) = oneshot::channel();
        let waiting = Answer {
            sent,
            unheard: |_: u8| {},
        };
        drop(waiting);
        assert_eq!(answer.send(7), Err(7), "its sender keeps it");
    }
}
