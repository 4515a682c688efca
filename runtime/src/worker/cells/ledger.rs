//! What the worker let a guest of a cell send: a report may repeat it, and add nothing.

use super::wire::{Answer, Ask};
use celeriac_sandbox::{Signature, Submission, Submitted, When, Wish};

/// What was asked for and allowed, as far as it waits for the end of the attempt.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    asked: Option<Entry>,
    on_success: Vec<Submission>,
    replacements: Vec<Signature>,
}

#[derive(Debug)]
enum Entry {
    Wish(Wish, u32),
    Replacement(Signature),
}

impl Ledger {
    /// Remembers what a guest waits for.
    pub(super) fn asked(&mut self, ask: &Ask) {
        self.asked = match ask {
            Ask::Wish {
                wish,
                when: When::OnSuccess,
                index,
            } => Some(Entry::Wish(wish.clone(), *index)),
            Ask::Replace { signature } => Some(Entry::Replacement(signature.clone())),
            Ask::Wish {
                when: When::Now, ..
            }
            | Ask::Get { .. }
            | Ask::Set { .. }
            | Ask::Delete { .. }
            | Ask::Keys { .. }
            | Ask::Increment { .. } => None,
        };
    }

    /// Notes what became of it.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let (Some(entry), Answer::Sent(Ok(id))) = (self.asked.take(), answer) else {
            return;
        };
        match entry {
            Entry::Wish(wish, index) => self.on_success.push(Submission {
                id: id.clone(),
                wish,
                index,
            }),
            Entry::Replacement(signature) => self.replacements.push(signature),
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
            Some(replacement) if !self.replacements.contains(replacement) => {
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
            ledger.asked(&Ask::Wish {
                wish: wish(task),
                when: When::OnSuccess,
                index: 0,
            });
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
}
