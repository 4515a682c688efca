//! What a task may reach: what the operator's configuration grants it.

use celeriac_sandbox::Grants;
use std::collections::BTreeMap;

/// What the operator grants, by whom it is for: the name of a module or of a task,
/// or the beginning of a task's name and a `*`.
pub type Granted = BTreeMap<String, Grant>;

/// What is granted to one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The tasks it may send: names, or beginnings of names and a `*`.
    pub submit: Vec<String>,
}

/// Returns the grants of a task: everything that is for its module, for the task,
/// or for a beginning of its name. There is none by default, not even to send the
/// tasks of the same module: a task that sends itself is how a fork bomb begins.
#[must_use]
pub fn of(granted: &Granted, module: &str, task: &str) -> Grants {
    let full = format!("{module}.{task}");
    let is_for = |whom: &str| match whom.strip_suffix('*') {
        Some(beginning) => full.starts_with(beginning),
        None => whom == module || whom == full,
    };
    let mut submit: Vec<String> = granted
        .iter()
        .filter(|(whom, _)| is_for(whom))
        .flat_map(|(_, grant)| grant.submit.iter().cloned())
        .collect();
    submit.sort();
    submit.dedup();
    let mut grants = Grants::at(format!("[grants.{module:?}]"));
    grants.submit = submit;
    grants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(pairs: &[(&str, &[&str])]) -> Granted {
        let owned = |(whom, tasks): &(&str, &[&str])| {
            let submit = tasks.iter().map(|task| (*task).to_owned()).collect();
            ((*whom).to_owned(), Grant { submit })
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
    fn nothing_is_granted_by_default_not_even_the_tasks_of_the_same_module() {
        let grants = of(&Granted::new(), "images", "resize");
        assert!(grants.submit.is_empty());
        assert_eq!(grants.place, "[grants.\"images\"]");
    }
}
