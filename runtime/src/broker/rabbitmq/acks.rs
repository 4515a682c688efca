//! Acknowledging many messages at once.
//!
//! The server numbers what it delivers on a channel 1, 2, 3, …, and one
//! acknowledgement may stand for every number up to its own (AMQP 0-9-1,
//! `basic.ack.multiple`). It may be used only where all of these are done with, so what
//! was done with is kept here up to the first number that is not.

use lapin::Channel;
use lapin::options::BasicAckOptions;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The acknowledgements of one channel.
#[derive(Debug, Default)]
pub(super) struct Acks {
    progress: Mutex<Progress>,
    sending: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Progress {
    /// All up to this one are done with.
    floor: u64,
    /// Those above that are done with.
    done: BTreeSet<u64>,
    /// Those that are to be acknowledged.
    wanted: BTreeSet<u64>,
    /// What is to be sent for them.
    frames: VecDeque<Frame>,
    /// Whether one could not be sent.
    is_broken: bool,
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    tag: u64,
    multiple: bool,
}

impl Acks {
    /// Acknowledges a message, with all that others acknowledge at this moment; false
    /// when the connection is gone, and so the lease.
    pub(super) async fn ack(&self, channel: &Channel, tag: u64) -> bool {
        self.lock().wanted.insert(tag);
        // Whoever else is ready comes first, and its message goes along.
        tokio::task::yield_now().await;
        let _turn = self.sending.lock().await;
        self.lock().plan();
        loop {
            let Some(frame) = self.lock().frames.pop_front() else {
                return !self.lock().is_broken;
            };
            let options = BasicAckOptions {
                multiple: frame.multiple,
            };
            if channel.basic_ack(frame.tag, options).await.is_err() {
                self.lock().is_broken = true;
            }
        }
    }

    /// Notes that a message is done with in another way.
    pub(super) fn is_done(&self, tag: u64) {
        self.lock().done.insert(tag);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Turns what is wanted into as few frames as possible.
    fn plan(&mut self) {
        let (mut last, mut count) = (None, 0_u32);
        loop {
            let next = self.floor + 1;
            if self.wanted.remove(&next) {
                (last, count) = (Some(next), count + 1);
            } else if !self.done.remove(&next) {
                break;
            }
            self.floor = next;
        }
        let multiple = count > 1;
        self.frames.extend(last.map(|tag| Frame { tag, multiple }));
        for tag in std::mem::take(&mut self.wanted) {
            self.frames.push_back(Frame {
                tag,
                multiple: false,
            });
            self.done.insert(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(progress: &mut Progress, wanted: &[u64]) -> Vec<(u64, bool)> {
        progress.wanted.extend(wanted);
        progress.plan();
        let frames = progress.frames.drain(..);
        frames.map(|frame| (frame.tag, frame.multiple)).collect()
    }

    #[test]
    fn one_frame_stands_for_all_up_to_the_first_that_is_not_done() {
        let mut progress = Progress::default();
        assert_eq!(frames(&mut progress, &[1]), [(1, false)]);
        assert_eq!(frames(&mut progress, &[2, 3, 4]), [(4, true)]);
        // 5 still runs.
        assert_eq!(frames(&mut progress, &[6, 8]), [(6, false), (8, false)]);
        assert_eq!(frames(&mut progress, &[7]), [(7, false)]);
        // Above 5 all is acknowledged: 5 alone is sent, and 9 after it with 10.
        assert_eq!(frames(&mut progress, &[5]), [(5, false)]);
        assert_eq!(progress.floor, 8);
        assert!(progress.done.is_empty());
        assert_eq!(frames(&mut progress, &[10, 9]), [(10, true)]);
    }

    #[test]
    fn what_is_done_with_in_another_way_is_passed_over() {
        let mut progress = Progress::default();
        progress.done.insert(2);
        assert_eq!(frames(&mut progress, &[1, 3]), [(3, true)]);
        progress.done.extend([4, 5]);
        assert_eq!(frames(&mut progress, &[]), []);
        assert_eq!(frames(&mut progress, &[6]), [(6, false)]);
        assert_eq!((progress.floor, progress.done.len()), (6, 0));
    }

    /// Every tag is acknowledged exactly once, and never before it is wanted.
    #[test]
    fn in_any_order_every_message_is_acknowledged_once() {
        let mut dice = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut tags: Vec<u64> = (1..=50).collect();
            dice.shuffle(&mut tags);
            let mut progress = Progress::default();
            let (mut wanted, mut acked) = (BTreeSet::new(), BTreeSet::new());
            for some in tags.chunks(dice.usize(1..8)) {
                wanted.extend(some);
                for (tag, multiple) in frames(&mut progress, some) {
                    let before = acked.len();
                    assert!(acked.insert(tag), "{tag} twice");
                    if multiple {
                        acked.extend(1..=tag);
                        assert!(acked.len() > before + 1);
                    }
                }
                assert!(acked.is_subset(&wanted));
            }
            assert_eq!(acked.len(), 50);
            assert_eq!((progress.floor, progress.done.len()), (50, 0));
        }
    }
}
