//! Finds rows of the layer table that nothing needs any more: whoever reads it believes them.

use std::collections::BTreeSet;

use super::layers::{EXCEPTIONS, MODULES, imported};
use super::source::Source;
use super::{Finding, LAYERS};

/// Checks that each module of the table is there, and that each exception is used, once.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut modules = BTreeSet::new();
    let mut uses = BTreeSet::new();
    for (module, targets) in sources.iter().filter_map(imported) {
        modules.insert(module);
        uses.extend(targets.into_iter().map(|target| (module, target)));
    }
    let gone = MODULES.iter().filter(|(name, _)| !modules.contains(name));
    let gone = gone.map(|(name, _)| {
        format!("module '{name}' is in the layer table and nowhere else; take it out")
    });
    let mut seen = BTreeSet::new();
    let idle = EXCEPTIONS.iter().filter_map(|(from, to, _)| {
        if !seen.insert((from, to)) {
            return Some(format!(
                "the exception of '{from}' for '{to}' stands there twice"
            ));
        }
        let is_used = uses.contains(&(*from, (*to).to_owned()));
        (!is_used)
            .then(|| format!("nothing in '{from}' imports '{to}' any more; take the exception out"))
    });
    gone.chain(idle)
        .map(|what| Finding {
            file: LAYERS.to_owned(),
            line: 1,
            what,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_nothing_needs_are_named() {
        let source = Source::new(
            "runtime/src/registry/rows.rs".to_owned(),
            "use crate::database::X;",
        );
        let found: Vec<String> = check(&[source]).iter().map(ToString::to_string).collect();
        let has = |text: &str| found.iter().any(|found| found.contains(text));
        assert!(
            has("module 'broker' is in the layer table and nowhere else"),
            "{found:?}"
        );
        assert!(
            has("nothing in 'registry' imports 'sql' any more"),
            "{found:?}"
        );
        assert!(!has("module 'registry'"));
        assert!(
            !found
                .iter()
                .any(|found| found.contains("in 'registry' imports 'database'"))
        );
    }
}
