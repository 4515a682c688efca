//! Who is asked: names, patterns of the shell, regular expressions.

use crate::celery::pidbox::Audience;
use regex_lite::{Regex, RegexBuilder};

/// Largest compiled pattern, bytes (64 KiB).
const PATTERN: usize = 64 << 10;
/// How deep a pattern may be nested.
const NESTED: u32 = 20;

/// Tells whether a worker of this name is asked.
pub(super) fn includes(audience: &Audience, node: &str) -> bool {
    match audience {
        Audience::All => true,
        Audience::These(names) => names.iter().any(|name| name == node),
        Audience::Glob(pattern) => fits(&of_glob(pattern), node),
        Audience::Regex(pattern) => fits(&format!("^(?:{pattern})"), node),
        Audience::Nobody => false,
    }
}

/// A pattern that is none fits nobody. Matching takes time linear in the name.
fn fits(pattern: &str, node: &str) -> bool {
    compile(pattern).is_some_and(|pattern| pattern.is_match(node))
}

fn compile(pattern: &str) -> Option<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(PATTERN).nest_limit(NESTED);
    builder.build().ok()
}

/// Writes a pattern of the shell as a regular expression, as Python's `fnmatch`
/// reads it.
fn of_glob(glob: &str) -> String {
    let mut pattern = String::from("(?s)^");
    let mut rest = glob;
    while let Some(letter) = rest.chars().next() {
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        match letter {
            '*' if pattern.ends_with(".*") => {}
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '[' => match class(rest) {
                Some((class, after)) => {
                    pattern.push_str(&class);
                    rest = after;
                }
                None => pattern.push_str("\\["),
            },
            other => pattern.push_str(&regex_lite::escape(&other.to_string())),
        }
    }
    pattern.push('$');
    pattern
}

/// Reads `abc]` or `!a-c]` as a class, with what follows it.
fn class(rest: &str) -> Option<(String, &str)> {
    let (negated, inner) = match rest.strip_prefix('!') {
        Some(inner) => (true, inner),
        None => (false, rest),
    };
    // A bracket that comes first belongs to the class.
    let first = inner.chars().next()?;
    let from = first.len_utf8();
    let end = from + inner.get(from..)?.find(']')?;
    let letters = inner.get(..end)?;
    let mut class = String::from(if negated { "[^" } else { "[" });
    for letter in letters.chars() {
        if !letter.is_alphanumeric() && letter != '-' {
            class.push('\\');
        }
        class.push(letter);
    }
    class.push(']');
    Some((class, inner.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_the_shell_fit_as_in_python() {
        for (glob, fits) in [
            ("w1@*", true),
            ("w?@example", true),
            ("*", true),
            ("w1@exampl", false),
            ("1@example", false),
            ("w[0-9]@example", true),
            ("w[!0-9]@example", false),
            ("w[1", false),
            ("w1@example.*", false),
            ("W1@*", false),
            ("w(1)@*", false),
        ] {
            let audience = Audience::Glob(glob.to_owned());
            assert_eq!(includes(&audience, "w1@example"), fits, "{glob}");
        }
    }

    #[test]
    fn expressions_match_from_the_start_as_in_python() {
        for (pattern, fits) in [
            ("^w1@.+", true),
            ("w1", true),
            ("example", false),
            ("a|w1", true),
            ("(", false),
            ("(?=w1)", false),
        ] {
            let audience = Audience::Regex(pattern.to_owned());
            assert_eq!(includes(&audience, "w1@example"), fits, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_of_any_size_ends_soon() {
        let name = "a".repeat(200);
        for pattern in [
            "(a*)*b".to_owned(),
            "(((a{50}){50}){50}){50}".to_owned(),
            format!("{}a{}", "(".repeat(300), ")".repeat(300)),
        ] {
            assert!(!includes(&Audience::Regex(pattern), &name));
        }
        let stars = format!("{}b", "*a".repeat(400));
        assert!(!includes(&Audience::Glob(stars), &name));
    }
}
