//! What the worker let a guest of a cell send: a report may repeat it, and add nothing.

use super::wire::{Answer, Ask};
use celeriac_sandbox::{HELD_BYTES, SUBMITS, Signature, Submission, Submitted, When, Wish};

/// What was asked for and allowed, as far as it waits for the end of the attempt.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    asked: Option<Entry>,
    /// Tasks that were let go or are held.
    count: u32,
    /// Bytes of those that are held.
    held: u64,
    on_success: Vec<Submission>,
    replacement: Option<Signature>,
}

#[derive(Debug)]
enum Entry {
    Wish(Wish, When, u32),
    Replacement(Signature),
}

impl Ledger {
    /// Remembers what a guest waits for.
    ///
    /// # Errors
    /// What is more than a sandbox would ask for, for people.
    pub(super) fn asked(&mut self, ask: &Ask) -> Result<(), String> {
        self.asked = match ask {
            Ask::Wish { wish, when, index } => {
                self.has_room(wish, *when)?;
                Some(Entry::Wish(wish.clone(), *when, *index))
            }
            Ask::Replace { signature } => Some(Entry::Replacement(signature.clone())),
            Ask::Get { .. }
            | Ask::Set { .. }
            | Ask::Delete { .. }
            | Ask::Keys { .. }
            | Ask::Increment { .. } => None,
        };
        Ok(())
    }

    fn has_room(&self, wish: &Wish, when: When) -> Result<(), String> {
        let count = self.count.saturating_add(wish.count());
        if count > SUBMITS {
            return Err(format!("to send {count} tasks"));
        }
        let held = self.held.saturating_add(wish.bytes());
        match when == When::OnSuccess && held > HELD_BYTES {
            true => Err(format!("to hold {held} bytes")),
            false => Ok(()),
        }
    }

    /// Notes what became of it.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let (Some(entry), Answer::Sent(Ok(id))) = (self.asked.take(), answer) else {
            return;
        };
        match entry {
            Entry::Wish(wish, when, index) => {
                self.count = self.count.saturating_add(wish.count());
                if when == When::OnSuccess {
                    self.held = self.held.saturating_add(wish.bytes());
                    let id = id.clone();
                    self.on_success.push(Submission { id, wish, index });
                }
            }
            // A later one takes the place of an earlier one.
            Entry::Replacement(signature) => self.replacement = Some(signature),
        }
    }

    /// Says whether a report waits for nothing else.
    ///
    /// # Errors
    /// What it adds, for people.
    pub(super) fn covers(&self, submitted: &Submitted) -> Result<(), String> {
        let mut known = self.on_success.iter();
        // In their order, each once.
        if !submitted
            .on_success
            .iter()
            .all(|one| known.any(|own| own == one))
        {
            return Err("a task that it had not asked to send".to_owned());
        }
        match &submitted.replacement {
            Some(_) if submitted.replacement != self.replacement => {
                Err("a replacement that it had not asked for".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use celeriac_sandbox::Job;

    fn wish(task: &str) -> Wish {
        Wish::Job(Job {
            task: task.to_owned(),
            ..Job::default()
        })
    }

    fn submission(task: &str, id: &str) -> Submission {
        Submission {
            id: id.to_owned(),
            wish: wish(task),
            index: 0,
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (task, answer) in [
            ("a", Ok("1".to_owned())),
            ("b", Err(celeriac_sandbox::SubmitError::too_many(101))),
            ("c", Ok("3".to_owned())),
        ] {
            let ask = Ask::Wish {
                wish: wish(task),
                when: When::OnSuccess,
                index: 0,
            };
            ledger.asked(&ask).unwrap();
            ledger.answered(&Answer::Sent(answer));
        }
        ledger
    }

    #[test]
    fn a_report_repeats_what_was_allowed_and_nothing_else() {
        let ledger = ledger();
        let reported = |on_success: Vec<Submission>| Submitted {
            on_success,
            ..Submitted::default()
        };
        for good in [
            vec![],
            vec![submission("a", "1")],
            vec![submission("a", "1"), submission("c", "3")],
        ] {
            assert_eq!(ledger.covers(&reported(good)), Ok(()));
        }
        for bad in [
            vec![submission("b", "2")],
            vec![submission("a", "3")],
            vec![submission("a", "1"), submission("a", "1")],
        ] {
            assert!(ledger.covers(&reported(bad)).is_err());
        }
        let replacement = Some(Signature {
            json: Bytes::from_static(b"{}"),
            tasks: Vec::new(),
        });
        let submitted = Submitted {
            replacement,
            ..Submitted::default()
        };
        let wrong = ledger.covers(&submitted).unwrap_err();
        assert_eq!(wrong, "a replacement that it had not asked for");
    }

    fn accepted(ledger: &mut Ledger, ask: &Ask) {
        ledger.asked(ask).unwrap();
        ledger.answered(&Answer::Sent(Ok("id".to_owned())));
    }

    #[test]
    fn a_hundred_tasks_are_the_most_whenever_they_are_sent() {
        let mut ledger = Ledger::default();
        for number in 0..SUBMITS {
            let when = match number % 2 {
                0 => When::Now,
                _ => When::OnSuccess,
            };
            let (wish, index) = (wish("a"), number);
            accepted(&mut ledger, &Ask::Wish { wish, when, index });
        }
        let one_more = Ask::Wish {
            wish: wish("a"),
            when: When::Now,
            index: SUBMITS,
        };
        assert_eq!(ledger.asked(&one_more).unwrap_err(), "to send 101 tasks");
    }

    #[test]
    fn sixteen_mebibytes_are_held_and_of_replacements_one() {
        let mut ledger = Ledger::default();
        let large = |task: &str| {
            let Wish::Job(mut job) = wish(task) else {
                unreachable!()
            };
            job.args = Bytes::from(vec![b' '; 6 << 20]);
            Wish::Job(job)
        };
        let ask = |when| Ask::Wish {
            wish: large("a"),
            when,
            index: 0,
        };
        for _ in 0..2 {
            accepted(&mut ledger, &ask(When::OnSuccess));
        }
        accepted(&mut ledger, &ask(When::Now));
        let wrong = ledger.asked(&ask(When::OnSuccess)).unwrap_err();
        assert!(wrong.starts_with("to hold 188743"), "{wrong}");
        let signature = |text: &'static str| Signature {
            json: Bytes::from_static(text.as_bytes()),
            tasks: Vec::new(),
        };
        for text in ["{}", "[]"] {
            let signature = signature(text);
            accepted(&mut ledger, &Ask::Replace { signature });
        }
        let covers = |text| {
            ledger.covers(&Submitted {
                replacement: Some(signature(text)),
                ..Submitted::default()
            })
        };
        assert_eq!(covers("[]"), Ok(()));
        assert!(covers("{}").is_err());
    }
}
