//! Where a task goes that we publish.

use std::collections::BTreeMap;

/// Where a task goes that no route names: Celery's own queue.
pub const DEFAULT_QUEUE: &str = "celery";

/// Returns the queue of a task. A route is the name of a task, or the beginning of
/// one and a `*`; the name itself wins, then the longest beginning.
#[must_use]
pub fn queue<'a>(routes: &'a BTreeMap<String, String>, task: &str) -> &'a str {
    find(routes, task).map_or(DEFAULT_QUEUE, String::as_str)
}

/// Returns what a table of names and beginnings, as those of routes, holds for a task.
#[must_use]
pub fn find<'a, T>(table: &'a BTreeMap<String, T>, task: &str) -> Option<&'a T> {
    if let Some(exact) = table.get(task) {
        return Some(exact);
    }
    let ends = task.char_indices().map(|(end, _)| end);
    let beginnings = ends.chain([task.len()]).rev();
    beginnings
        .filter_map(|end| table.get(&format!("{}*", task.get(..end)?)))
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            ("images.*", "images"),
            ("images.big*", "big"),
            ("images.bigger", "exact"),
            ("images.big.*", "dotted"),
            ("ä*", "umlaut"),
        ]);
        for (task, expected) in [
            ("images.resize", "images"),
            ("images.", "images"),
            ("images", "celery"),
            ("images.big", "big"),
            ("images.biggest", "big"),
            ("images.bigger", "exact"),
            ("images.big.one", "dotted"),
            ("Images.resize", "celery"),
            ("ä", "umlaut"),
            ("äöü", "umlaut"),
            ("a", "celery"),
            ("", "celery"),
        ] {
            assert_eq!(queue(&routes, task), expected, "{task}");
        }
    }

    #[test]
    fn a_star_alone_is_for_all_that_nothing_else_names() {
        let routes = routes(&[("*", "all"), ("a.*", "a")]);
        for (task, expected) in [("a.b", "a"), ("b", "all"), ("", "all")] {
            assert_eq!(queue(&routes, task), expected, "{task}");
        }
    }

    proptest! {
        /// As the rule says it, without the search by length.
        #[test]
        fn the_longest_of_all_that_match_is_found(
            patterns in proptest::collection::btree_map("[ab]{0,4}\\*?", "[q-z]", 0..12),
            task in "[abä]{0,6}",
        ) {
            let exact = patterns.get(&task);
            let matching = patterns.iter().filter_map(|(pattern, queue)| {
                let beginning = pattern.strip_suffix('*')?;
                task.starts_with(beginning).then_some((beginning.len(), queue))
            });
            let longest = matching.max_by_key(|(length, _)| *length).map(|(_, queue)| queue);
            let expected = exact.or(longest).map_or(DEFAULT_QUEUE, String::as_str);
            prop_assert_eq!(queue(&patterns, &task), expected);
        }
    }
}
