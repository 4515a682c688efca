//! What a task may reach: what the operator's configuration grants it.

use celeriac_sandbox::{Grants, HttpGrant, Injection, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the operator grants, by whom it is for: the name of a module or of a task,
/// or the beginning of a task's name and a `*`.
pub type Granted = BTreeMap<String, Grant>;

/// What is granted to one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The tasks it may send: names, or beginnings of names and a `*`.
    pub submit: Vec<String>,
    /// What it may reach by HTTP.
    pub http: HttpGrant,
    /// The configuration values it may read.
    pub values: BTreeMap<String, Arc<str>>,
    /// The secrets it may read.
    pub secrets: BTreeMap<String, Secret>,
    /// The headers that are added to its requests.
    pub inject: Vec<Injection>,
    /// Room in the key-value store of its module, bytes.
    pub key_value: u64,
    /// Room for scratch files of one attempt, bytes.
    pub scratch: u64,
}

/// Returns the grants of a task: everything that is for its module, for the task,
/// or for a beginning of its name. There is none by default, not even to send the
/// tasks of the same module: a task that sends itself is how a fork bomb begins.
#[must_use]
pub fn of(granted: &Granted, module: &str, task: &str) -> Grants {
    let mut grants = Grants::at(format!("[grants.{module:?}]"));
    for (_, grant) in granted
        .iter()
        .filter(|(whom, _)| is_for(whom, module, task))
    {
        grants.submit.extend_from_slice(&grant.submit);
        grants.http.hosts.extend_from_slice(&grant.http.hosts);
        grants.http.private.extend_from_slice(&grant.http.private);
        grants.values.extend(grant.values.clone());
        grants.secrets.extend(grant.secrets.clone());
        grants.inject.extend(grant.inject.iter().cloned());
        grants.key_value = grants.key_value.max(grant.key_value);
        grants.scratch = grants.scratch.max(grant.scratch);
    }
    once(&mut grants.submit);
    once(&mut grants.http.hosts);
    once(&mut grants.http.private);
    grants
}

/// Tells whether what is granted to somebody is for a task: its module, the task, or a
/// beginning of its name.
#[must_use]
pub fn is_for(whom: &str, module: &str, task: &str) -> bool {
    let rest = || whom.strip_prefix(module)?.strip_prefix('.');
    match whom.strip_suffix('*') {
        Some(beginning) => format!("{module}.{task}").starts_with(beginning),
        None => whom == module || rest() == Some(task),
    }
}

/// Keeps one of each.
fn once<T: Ord>(all: &mut Vec<T>) {
    all.sort();
    all.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(pairs: &[(&str, &[&str])]) -> Granted {
        let owned = |(whom, tasks): &(&str, &[&str])| {
            let submit = tasks.iter().map(|task| (*task).to_owned()).collect();
            let grant = Grant {
                submit,
                ..Grant::default()
            };
            ((*whom).to_owned(), grant)
        };
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_task_gets_what_is_for_its_module_its_name_and_a_beginning_of_it() {
        let granted = granted(&[
            ("images", &["a", "b"]),
            ("images.resize", &["c"]),
            ("images.re*", &["b", "d"]),
            ("image", &["e"]),
            ("images.big*", &["f"]),
            ("resize", &["g"]),
        ]);
        assert_eq!(
            of(&granted, "images", "resize").submit,
            ["a", "b", "c", "d"]
        );
        assert_eq!(of(&granted, "images", "list").submit, ["a", "b"]);
        assert_eq!(of(&granted, "images.bigger", "list").submit, ["f"]);
    }

    #[test]
    fn hosts_of_all_that_fit_are_granted_together() {
        let http = |host: &str, network: &str| Grant {
            http: HttpGrant {
                hosts: vec!["a.test".parse().unwrap(), host.parse().unwrap()],
                private: vec![network.parse().unwrap()],
            },
            ..Grant::default()
        };
        let granted = Granted::from([
            ("images".to_owned(), http("b.test", "10.0.0.1")),
            ("images.re*".to_owned(), http("c.test", "10.0.0.2")),
            ("mail".to_owned(), http("d.test", "10.0.0.3")),
        ]);
        let of = |task| {
            let http = of(&granted, "images", task).http;
            let hosts: Vec<String> = http.hosts.iter().map(ToString::to_string).collect();
            (hosts.join(" "), http.private.len())
        };
        assert_eq!(of("resize"), ("a.test b.test c.test".to_owned(), 2));
        assert_eq!(of("list"), ("a.test b.test".to_owned(), 1));
    }

    #[test]
    fn nothing_is_granted_by_default_not_even_the_tasks_of_the_same_module() {
        let grants = of(&Granted::new(), "images", "resize");
        assert!(grants.submit.is_empty() && grants.http == HttpGrant::default());
        assert_eq!(grants.place, "[grants.\"images\"]");
    }
    /// Names are all there is: a secret that is given to everybody is everybody's.
    #[test]
    fn a_secret_is_for_those_whose_section_names_it_and_one_for_all_is_for_all() {
        let with = |name: &str| Grant {
            secrets: [(name.to_owned(), Secret::new("text"))].into(),
            ..Grant::default()
        };
        let mut granted = Granted::from([
            ("shop".to_owned(), with("PAY")),
            ("mail.send".to_owned(), with("SMTP")),
        ]);
        let has = |granted: &Granted, module, task| {
            let names = of(granted, module, task).secrets.into_keys();
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(has(&granted, "shop", "buy"), "PAY");
        assert_eq!(has(&granted, "mail", "send"), "SMTP");
        assert_eq!(has(&granted, "mail", "list"), "");
        assert_eq!(has(&granted, "evil", "run"), "");
        granted.insert("*".to_owned(), with("PAY"));
        assert_eq!(has(&granted, "evil", "run"), "PAY");
    }

    #[test]
    fn values_and_secrets_add_up_and_the_larger_room_counts() {
        let grant = |name: &str, room: u64| Grant {
            values: [(name.to_owned(), "text".into())].into(),
            secrets: [(name.to_owned(), Secret::new("text"))].into(),
            key_value: room,
            scratch: room,
            ..Grant::default()
        };
        let sections = [
            ("shop", grant("a", 1)),
            ("shop.*", grant("b", 3)),
            ("mail", grant("c", 9)),
        ];
        let granted = sections
            .map(|(whom, grant)| (whom.to_owned(), grant))
            .into();
        let grants = of(&granted, "shop", "pay");
        let names: Vec<&String> = grants.values.keys().collect();
        assert_eq!(names, ["a", "b"]);
        assert!(grants.secrets.keys().eq(names));
        assert_eq!((grants.key_value, grants.scratch), (3, 3));
    }
}
