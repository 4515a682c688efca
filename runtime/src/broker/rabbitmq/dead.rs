//! Dead letters: a queue of their own beside each queue.

use super::carry::{self, Notes};
use super::declare::{self, Purpose};
use super::session::{Post, Session};
use super::trouble;
use crate::amqp::{ANSWER, Wrong, channel, in_time, wrong};
use crate::broker::{
    BrokerError, DEAD_LETTERS, DeadLetter, Delivery, Found, Looked, Place, Reach, is_of,
};
use crate::celery::Message;
use jiff::Timestamp;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::{Channel, Error};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for a queue that takes back what was looked at (5 s): somebody else
/// may have taken some of it.
const BACK: Duration = Duration::from_secs(5);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// Returns the queue of the dead letters of a queue.
pub(super) fn queue(queue: &str) -> String {
    format!("{queue}.dead")
}

/// Puts a message among the dead letters.
pub(super) async fn bury(
    session: &Session,
    delivery: &Delivery,
    notes: &Notes,
) -> Result<(), BrokerError> {
    let grave = queue(&delivery.queue);
    session.ensure(&grave, Purpose::DeadLetters).await?;
    let mut message = delivery.message.clone();
    // A dead letter stays until somebody looks at it.
    message.properties.expiration = None;
    let post = Post {
        exchange: "",
        routing_key: grave,
        properties: carry::write(&message, notes, session.room()),
        body: message.body,
    };
    session.publish(vec![post]).await
}

/// Returns the newest dead letters that are wanted. AMQP can only take them all, oldest
/// first, and give them back: meanwhile others see fewer.
pub(super) async fn newest(
    session: &Session,
    of: &str,
    max: usize,
    is_wanted: &(dyn Fn(&Message) -> bool + Sync),
) -> Result<Vec<DeadLetter>, BrokerError> {
    let grave = queue(of);
    if declare::waiting(session.connection(), &grave)
        .await
        .map_err(trouble)?
        .is_none()
    {
        return Ok(Vec::new());
    }
    let reading = channel(session.connection()).await.map_err(trouble)?;
    let letters = match read(&reading, of, max, is_wanted).await {
        Ok(letters) => letters,
        // It was deleted in between.
        Err(error) if wrong(&error) == Wrong::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(trouble(error)),
    };
    in_time(ANSWER, reading.close(200, "OK".into()))
        .await
        .map_err(trouble)?;
    Ok(letters.into_iter().rev().collect())
}

/// Looks for the message of a task among the dead letters of some queues.
pub(super) async fn find(
    session: &Session,
    id: &str,
    queues: Vec<String>,
) -> Result<Looked, BrokerError> {
    let mut found = None;
    for queue in &queues {
        let newest = newest(session, queue, 1, &|message| is_of(message, id)).await?;
        if let Some(letter) = newest.into_iter().next() {
            found = Some(Found {
                queue: letter.queue,
                place: Place::Dead {
                    reason: letter.reason,
                    died_at: letter.died_at,
                },
                message: letter.message,
            });
            break;
        }
    }
    Ok(Looked {
        found,
        reach: Reach::DeadLetters(queues),
    })
}

async fn read(
    channel: &Channel,
    of: &str,
    max: usize,
    is_wanted: &(dyn Fn(&Message) -> bool + Sync),
) -> Result<VecDeque<DeadLetter>, Error> {
    let grave = queue(of);
    let mut letters = VecDeque::new();
    let mut last = None;
    let mut read = 0;
    while read < DEAD_LETTERS {
        let get = channel.basic_get(grave.as_str().into(), BasicGetOptions::default());
        let Some(got) = in_time(ANSWER, get).await? else {
            break;
        };
        let got = got.delivery;
        read += 1;
        last = Some(got.delivery_tag);
        let (message, notes) = carry::read(&got.properties, got.data);
        if !is_wanted(&message) {
            continue;
        }
        let died_at = notes
            .died_at
            .and_then(|at| Timestamp::from_millisecond(at).ok());
        letters.push_back(DeadLetter {
            queue: of.to_owned(),
            message,
            reason: notes.reason.unwrap_or_default(),
            died_at: died_at.unwrap_or_default(),
        });
        if letters.len() > max {
            letters.pop_front();
        }
    }
    if let Some(last) = last {
        let all = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        channel.basic_nack(last, all).await?;
        are_back(channel, &grave, read).await?;
    }
    Ok(letters)
}

/// Waits until the queue has again what was read: it takes it back at its leisure.
async fn are_back(channel: &Channel, grave: &str, read: u64) -> Result<(), Error> {
    let end = Instant::now() + BACK;
    while u64::from(in_time(ANSWER, declare::look(channel, grave)).await?) < read {
        if Instant::now() >= end {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
