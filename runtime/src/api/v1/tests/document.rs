//! What the document of the API says.

use crate::api::v1::document;
use crate::plane::Code;

#[test]
fn every_code_is_told_by_some_operation() {
    let document = document();
    for code in Code::ALL {
        // The router answers these before any operation.
        let by_none = code == Code::MethodNotAllowed;
        let word = format!("`{}`", code.text());
        assert!(by_none || document.contains(&word), "{word}");
    }
}
