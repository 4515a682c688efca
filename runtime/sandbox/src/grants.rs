//! What a guest may reach beyond computing and returning.

/// The capabilities of one attempt. Empty in this version of the sandbox:
/// whatever a guest imports beyond clocks, random numbers and its log answers
/// with a denial.
///
/// Passing it by value at every call keeps the rule in one place: a guest gets
/// only what is listed here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {}
