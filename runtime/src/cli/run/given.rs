//! What a run by hand is given beyond its arguments, and what it would send.

use crate::app;
use crate::config::Config;
use crate::task::ModuleName;
use celeriac_sandbox::{
    Attempt, Capability, Drawer, Grants, Sender, Sending, Signature, Uses, When, Wish,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A pair of `--grant`: a key of `[grants.NAME]` and what is granted.
pub(crate) type Pair = (String, String);

/// Reads a pair of `--grant`.
pub(super) fn pair(text: &str) -> Result<Pair, String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("a key of [grants] and a value are wanted, such as http=api.example.com")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Gives an attempt what the configuration grants to its task: nothing is sent but requests
/// by HTTP, and what is kept is gone with the run.
pub(super) fn give(
    config: &Config,
    module: Option<&ModuleName>,
    task: &str,
    attempt: &mut Attempt,
) -> anyhow::Result<(Grants, Arc<Outbox>)> {
    let mut granted = Grants::default();
    if let Some(module) = module {
        (granted, attempt.egress) = app::by_hand(config, module, task)?;
    }
    let outbox = Arc::new(Outbox::default());
    attempt.keeper = Some(Arc::new(Drawer::default()));
    attempt.sender = Some(outbox.clone());
    Ok((granted, outbox))
}

/// Says what would grant what was denied; `None` where nothing was.
pub(super) fn hint(uses: &Uses, module: Option<&ModuleName>) -> Option<String> {
    let denied = uses.iter().filter(|(_, used)| used.denied > 0);
    let flags: Vec<String> = denied
        .map(|(capability, _)| format!("--grant {}", example(capability)))
        .collect();
    if flags.is_empty() {
        return None;
    }
    let flags = flags.join(" ");
    Some(match module.map(ModuleName::as_str) {
        Some(module) => format!(
            "denied; granted by the line of [grants.{module:?}] that the denial names, in celeriac.toml, or for one run by {flags}"
        ),
        None => format!(
            "denied; --name NAME says which [grants.NAME] it gets, and {flags} grants it for one run"
        ),
    })
}

fn example(capability: Capability) -> &'static str {
    match capability {
        Capability::Submit => "submit=TASK",
        Capability::Http => "http=HOST",
        Capability::Config => "config=NAME",
        Capability::Secrets => "secrets=NAME",
        Capability::KeyValue => "key_value=1MiB",
        Capability::Scratch => "scratch=16MiB",
    }
}

/// Something that a worker would send.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sent {
    /// `now`, `on success`, or `instead` of the task's own result.
    pub(super) when: &'static str,
    /// The tasks: one, or all of a signature.
    pub(super) tasks: Vec<String>,
    /// The arguments of the one.
    pub(super) args: Option<Box<RawValue>>,
    pub(super) kwargs: Option<Box<RawValue>>,
}

/// Keeps what a run by hand submits; there are limits to that in the sandbox.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Vec<Sent>>);

impl Outbox {
    fn sent(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent())
    }
}

impl Sender for Outbox {
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a> {
        let when = match when {
            When::Now => "now",
            When::OnSuccess => "on success",
        };
        let json = |bytes: &[u8]| serde_json::from_slice(bytes).ok();
        self.sent().push(match wish {
            Wish::Job(job) => Sent {
                when,
                tasks: vec![job.task.clone()],
                args: json(&job.args),
                kwargs: json(&job.kwargs),
            },
            Wish::Signature(signature) => all(when, signature),
        });
        // Ids are counted: two runs are to look alike.
        let id = format!("00000000-0000-4000-8000-{:012}", u64::from(index) + 1);
        Box::pin(std::future::ready(Ok(id)))
    }

    fn replace<'a>(&'a self, signature: &'a Signature) -> Sending<'a> {
        self.sent().push(all("instead", signature));
        Box::pin(std::future::ready(Ok(String::new())))
    }
}

fn all(when: &'static str, signature: &Signature) -> Sent {
    Sent {
        when,
        tasks: signature.tasks.clone(),
        args: None,
        kwargs: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::Use;

    #[test]
    fn a_denial_is_followed_by_what_would_grant_it_and_nothing_else_is() {
        let module: ModuleName = "shop".parse().unwrap();
        let hint = |uses: &Uses| hint(uses, Some(&module));
        let mut uses = Uses::default();
        uses.count(Capability::Submit, Use::call(0, 1));
        assert_eq!(hint(&uses), None);
        uses.count(Capability::Http, Use::denial());
        uses.count(Capability::Scratch, Use::denial());
        let hint = hint(&uses).unwrap();
        assert!(hint.contains("[grants.\"shop\"]"), "{hint}");
        assert!(
            hint.ends_with("--grant http=HOST --grant scratch=16MiB"),
            "{hint}"
        );
    }

    #[test]
    fn a_grant_is_a_key_and_a_value() {
        let pair = |text: &str| super::pair(text).map(|(key, value)| format!("{key}|{value}"));
        assert_eq!(pair("http = a.b").unwrap(), "http|a.b");
        assert_eq!(pair("inject=a.b x: {T}=").unwrap(), "inject|a.b x: {T}=");
        assert!(pair("http").is_err());
    }
}
