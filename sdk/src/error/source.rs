//! From any standard error to a failure: its type names the kind, its sources become the trace.

use std::any::Any;
use std::error::Error;
use std::fmt::Write as _;

use super::{Failure, TaskError};
use crate::{Interrupted, SubmitError};

/// The most errors of a chain that a trace lists; a chain that refers to itself ends here.
const MAX_SOURCES: usize = 32;

impl<E: Error + 'static> From<E> for TaskError {
    fn from(error: E) -> Self {
        if let Some(Interrupted(reason)) = (&error as &dyn Any).downcast_ref() {
            return Self::interrupted(*reason);
        }
        let may_mend = (&error as &dyn Any)
            .downcast_ref()
            .is_some_and(|error| matches!(error, SubmitError::Unavailable(_)));
        let kind = kind_of(std::any::type_name::<E>());
        Failure {
            kind,
            message: error.to_string(),
            trace: trace_of(&error),
            retryable: may_mend.then_some(true),
        }
        .into()
    }
}

/// Names a failure after its error's type: `core::num::error::ParseIntError` is `ParseIntError`.
///
/// A type that is only called `Error` takes the name of the module or crate that holds it, because
/// `Error` alone says nothing: `std::io::error::Error` is `IoError`.
fn kind_of(type_name: &str) -> String {
    let path = type_name.split('<').next().unwrap_or(type_name);
    let mut segments = path.rsplit("::");
    let last = segments.next().unwrap_or(path);
    if last != "Error" {
        return last.to_owned();
    }
    let owner = segments
        .find(|segment| !matches!(*segment, "error" | "errors"))
        .unwrap_or("");
    let mut kind = String::with_capacity(owner.len() + last.len());
    for word in owner.split('_') {
        let mut letters = word.chars();
        kind.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        kind.push_str(letters.as_str());
    }
    kind + last
}

/// Lists the errors behind an error, nearest first, or `None` where there is none.
fn trace_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut trace = String::new();
    let sources = std::iter::successors(error.source(), |error: &&(dyn Error + 'static)| {
        (*error).source()
    });
    for source in sources.take(MAX_SOURCES) {
        if !trace.is_empty() {
            trace.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = write!(trace, "caused by: {source}");
    }
    (!trace.is_empty()).then_some(trace)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::{Disposition, Interruption};

    #[derive(Debug)]
    struct ShopClosed(Option<std::num::ParseIntError>);

    impl fmt::Display for ShopClosed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the shop is closed")
        }
    }

    impl Error for ShopClosed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_ref().map(|error| error as &(dyn Error + 'static))
        }
    }

    #[derive(Debug)]
    struct Ouroboros;

    impl fmt::Display for Ouroboros {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("tail")
        }
    }

    impl Error for Ouroboros {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Self)
        }
    }

    fn failure(error: impl Into<TaskError>) -> Failure {
        let disposition = error.into().into_disposition();
        let Disposition::Failure(failure) = disposition else {
            panic!("not a failure: {disposition:?}");
        };
        failure
    }

    #[test]
    fn a_standard_error_becomes_a_failure_named_after_its_type() {
        let failure = failure("x".parse::<u8>().unwrap_err());
        assert_eq!(
            failure.to_string(),
            "ParseIntError: invalid digit found in string"
        );
        assert_eq!((failure.trace, failure.retryable), (None, None));
    }

    #[test]
    fn a_type_that_is_only_called_error_takes_its_owners_name() {
        for (type_name, kind) in [
            ("std::io::error::Error", "IoError"),
            ("serde_json::error::Error", "SerdeJsonError"),
            ("shop::ShopError<alloc::string::String>", "ShopError"),
            ("Error", "Error"),
        ] {
            assert_eq!(kind_of(type_name), kind, "{type_name}");
        }
    }

    #[test]
    fn the_chain_of_sources_becomes_the_trace() {
        let failure = failure(ShopClosed("".parse::<i32>().err()));
        assert_eq!(failure.kind, "ShopClosed");
        assert_eq!(
            failure.trace.as_deref(),
            Some("caused by: cannot parse integer from empty string")
        );
    }

    #[test]
    fn a_chain_without_end_is_cut() {
        let trace = failure(Ouroboros).trace.expect("it has sources");
        assert_eq!(trace.lines().count(), MAX_SOURCES);
    }

    #[test]
    fn an_interruption_stays_one() {
        let error = TaskError::from(Interrupted(Interruption::Shutdown));
        assert_eq!(error, TaskError::interrupted(Interruption::Shutdown));
    }
}
