//! Clients that others make of the document of the API.

use super::Plane;
use crate::stage;
use std::path::Path;
use support::Python;

/// Requests of schemathesis for each operation, of what its schemas allow and do not.
const EXAMPLES: &str = "25";

pub(crate) fn python() -> Python {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python");
    Python::new(&target, "5.7-plane", scripts)
}

#[test]
fn whatever_is_sent_no_answer_is_a_bug_or_another_than_the_document_says() {
    let often = stage()
        .with("serve.requests_per_minute", "1000000")
        .with("serve.address_requests_per_minute", "1000000");
    often.push("hostile");
    let plane = Plane::new(often);
    let address = format!("http://{}", plane.address);
    let found = python().run("fuzzed.py", &[&address, &plane.token, EXAMPLES]);
    assert_eq!(
        found["code"],
        0,
        "{}",
        found["report"].as_str().unwrap_or_default()
    );
    assert!(!plane.dev.log().contains("a bug"), "{}", plane.dev.log());
}

#[test]
fn a_client_made_of_the_document_makes_a_tenant_and_pushes_its_module() {
    let plane = Plane::new(stage());
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let address = format!("http://{}", plane.address);
    let component = plane.stage.component("hostile");
    let done = python().run(
        "generated.py",
        &[
            &document.display().to_string(),
            &address,
            &plane.token,
            &component.display().to_string(),
        ],
    );
    let expected = serde_json::json!({
        "tenant": "generated",
        "weight": 100,
        "pushed": 1,
        "listed": ["images"],
        "refused": "not_found",
    });
    assert_eq!(done, expected);
}
