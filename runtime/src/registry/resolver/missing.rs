//! What there is in place of a task that there is not.

use super::{Owned, Resolver};
use crate::task::{ModuleName, TaskName, TenantName};
use std::fmt;

/// Most letters that may differ between what was written and what was meant.
const NEAR: usize = 2;
/// Longest name that is compared, bytes: no longer one can be that of a task.
const NAME_BYTES: usize = 128;
/// Most names that are compared (1,000): whoever sends wrong names must not
/// keep the worker busy with them.
const COMPARED: usize = 1_000;

/// Why a name stands for no code, and what was probably meant. Its text is
/// what the caller of the task reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// There is no such module.
    Module {
        /// Its name.
        module: ModuleName,
        /// A module with nearly this name, or its task of the same name.
        similar: Option<String>,
    },
    /// The module has no such task.
    Task {
        /// The module.
        module: ModuleName,
        /// A task of it with nearly this name.
        similar: Option<TaskName>,
    },
}

impl Resolver {
    /// Says why a name is not known to a tenant. It looks at up to 1,000 other names of that
    /// tenant: ask only after [`Resolver::resolve`] did not find it.
    #[must_use]
    pub fn missing(&self, tenant: &TenantName, name: &TaskName) -> Missing {
        let snapshot = self.snapshot();
        let none = Owned::default();
        let own = snapshot.tenants.get(tenant).unwrap_or(&none);
        if let Some(module) = own.modules.get(&name.module) {
            let names: Vec<_> = module.names().collect();
            let known = names.iter().map(|known| known.task.as_str());
            let similar = nearest(&name.task, known).map(|task| TaskName {
                module: name.module.clone(),
                task: task.to_owned(),
            });
            return Missing::Task {
                module: name.module.clone(),
                similar,
            };
        }
        let known = own.order.iter().map(|module| module.name().as_str());
        let similar = nearest(name.module.as_str(), known).map(str::to_owned);
        let similar = similar.map(|module| {
            let same_task = own
                .order
                .iter()
                .find(|known| known.name().as_str() == module)
                .is_some_and(|known| known.has(&name.task));
            match same_task {
                true => format!("{module}.{}", name.task),
                false => module,
            }
        });
        Missing::Module {
            module: name.module.clone(),
            similar,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { module, similar } => {
                write!(f, "there is no module {module}; ")?;
                match similar {
                    Some(name) => write!(f, "did you mean {name}?"),
                    None => f.write_str("`celeriac modules` lists them"),
                }
            }
            Self::Task { module, similar } => {
                write!(f, "module {module} has no such task; ")?;
                match similar {
                    Some(name) => write!(f, "did you mean {name}?"),
                    None => write!(f, "`celeriac modules {module}` lists them"),
                }
            }
        }
    }
}

/// Finds the known name that is most like another, if one is like it.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES {
        return None;
    }
    known
        .filter(|known| known.len().abs_diff(name.len()) <= NEAR)
        .take(COMPARED)
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        // A short name is not like every other short name.
        .filter(|(distance, known)| *distance <= NEAR && 2 * distance < known.len())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::{House, component, us};

    #[tokio::test]
    async fn a_wrong_name_is_answered_with_what_there_is() {
        let house = House::open().await;
        let words = component(&["count"], "");
        house.push("words", &words).await.unwrap();
        let resolver = house.registry.resolver("w").await.unwrap();
        for (name, said) in [
            (
                "words.cuont",
                "module words has no such task; did you mean words.count?",
            ),
            (
                "words.nope",
                "module words has no such task; `celeriac modules words` lists them",
            ),
            (
                "word.count",
                "there is no module word; did you mean words.count?",
            ),
            ("wrods.x", "there is no module wrods; did you mean words?"),
            (
                "images.count",
                "there is no module images; `celeriac modules` lists them",
            ),
        ] {
            assert_eq!(
                resolver.missing(&us(), &name.parse().unwrap()).to_string(),
                said
            );
        }
    }

    #[test]
    fn only_names_that_look_alike_are_suggested() {
        assert_eq!(
            nearest("counr", ["count", "mount"].into_iter()),
            Some("count")
        );
        assert_eq!(nearest("ab", ["cd", "xy"].into_iter()), None);
        assert_eq!(nearest("count", ["recount_all"].into_iter()), None);
        assert_eq!(nearest("", [""; 0].into_iter()), None);
    }

    #[test]
    fn comparing_has_an_end() {
        let long = "x".repeat(NAME_BYTES + 1);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), None);
        let most = "x".repeat(NAME_BYTES);
        assert_eq!(nearest(&most, [most.as_str()].into_iter()), Some(&*most));
        let others = ["abcde"; COMPARED];
        let last = || others.into_iter().chain(["count"]);
        assert_eq!(nearest("counr", last()), None);
        assert_eq!(nearest("counr", last().skip(1)), Some("count"));
    }
}
