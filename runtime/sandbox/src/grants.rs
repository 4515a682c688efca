//! What a guest may reach beyond computing and returning.

use crate::defence::{Defence, stands};
use crate::egress::HttpGrant;
use serde::{Deserialize, Serialize};

/// The capabilities of one attempt. Without any, whatever a guest imports beyond
/// clocks, random numbers and its log answers with a denial.
///
/// Passing it by value at every call keeps the rule in one place: a guest gets
/// only what is listed here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grants {
    /// The tasks it may send: names, or beginnings of names and a `*`.
    pub submit: Vec<String>,
    /// What it may reach by HTTP.
    pub http: HttpGrant,
    /// Where the operator writes what it may reach, such as `[grants."images"]`:
    /// a denial names the line that would allow it. Empty where there is no such
    /// place.
    pub place: String,
}

impl Grants {
    /// Grants nothing yet; see the fields.
    #[must_use]
    pub fn at(place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            ..Self::default()
        }
    }

    /// Says whether the guest may send a task; the error is for its author.
    pub(crate) fn submits(&self, task: &str) -> Result<(), String> {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => task.starts_with(beginning),
            None => pattern == task,
        };
        if self.submit.iter().any(fits) || !stands(Defence::Grants) {
            return Ok(());
        }
        if self.place.is_empty() {
            return Err(format!("no grant to send the task {task:?}"));
        }
        let granted = self.submit.iter().map(String::as_str).chain([task]);
        let granted: Vec<&str> = granted.collect();
        Err(format!(
            "no grant to send the task {task:?}; the operator's configuration would allow it by {} submit = {granted:?}",
            self.place
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_grant_nothing_may_be_sent() {
        assert!(Grants::default().submits("a.b").is_err());
    }

    #[test]
    fn a_name_grants_itself_and_a_star_what_begins_so() {
        let grants = Grants {
            submit: vec!["mail.send".to_owned(), "images.*".to_owned()],
            http: HttpGrant::default(),
            place: "[grants.\"shop\"]".to_owned(),
        };
        for task in ["mail.send", "images.resize", "images."] {
            assert_eq!(grants.submits(task), Ok(()), "{task}");
        }
        for task in ["mail.sendmail", "mail", "images", "", "*"] {
            assert!(grants.submits(task).is_err(), "{task}");
        }
        let denial = grants.submits("mail.read").unwrap_err();
        let line = r#"[grants."shop"] submit = ["mail.send", "images.*", "mail.read"]"#;
        assert!(denial.ends_with(line), "{denial}");
    }
}
