//! The macros of a test: which module, and which arguments.

use serde::Serialize;
use serde_json::Value;

/// Turns any serialisable value into JSON; [`args!`](crate::args) and
/// [`kwargs!`](crate::kwargs) call it for each argument.
///
/// # Panics
/// When the value has no JSON form, such as a map with keys that are not text.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test learns of a bad argument by a panic at its own line"
)]
pub fn value(value: impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(value) => value,
        Err(error) => panic!("an argument has no JSON form: {error}"),
    }
}

/// Builds the crate under test into a component and returns it as a
/// [`Module`](crate::Module); `module!(Target::Unknown)` builds it for
/// `wasm32-unknown-unknown`.
///
/// Cargo builds once per process and target (once per run under nextest).
/// Panics with Cargo's output when the crate does not build, and with the
/// reason when a worker would refuse the component.
#[macro_export]
macro_rules! module {
    () => {
        $crate::module!($crate::Target::Wasip2)
    };
    ($target:expr) => {
        $crate::Module::build(env!("CARGO_MANIFEST_DIR"), $target)
    };
}

/// Lists positional arguments: anything that serialises.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {{
        let values: ::std::vec::Vec<$crate::Value> = ::std::vec![$($crate::value(&$value)),*];
        values
    }};
}

/// Lists keyword arguments: `kwargs! { width: 64, bytes: image }`.
#[macro_export]
macro_rules! kwargs {
    ($($name:ident : $value:expr),* $(,)?) => {{
        let pairs: ::std::vec::Vec<(&str, $crate::Value)> =
            ::std::vec![$((::core::stringify!($name), $crate::value(&$value))),*];
        pairs
    }};
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn arguments_are_whatever_serialises() {
        assert_eq!(
            args!["a", 1, Some(true), None::<u8>, [1, 2]],
            vec![
                json!("a"),
                json!(1),
                json!(true),
                json!(null),
                json!([1, 2])
            ]
        );
        assert!(args![].is_empty());
        assert_eq!(
            kwargs! { width: 64, name: "x", },
            vec![("width", json!(64)), ("name", json!("x"))]
        );
    }
}
