//! Requests that say what cannot be, and those about what is not the caller's.

use super::{plane, run};
use crate::stage;
use serde_json::{Value, json};

#[test]
fn each_member_of_a_call_that_is_wrong_is_told_by_its_name() {
    let plane = plane(stage());
    let found = run(&plane, "bad", &[]);
    for (member, status, code) in [
        ("task", 404, "not_found"),
        ("args", 400, "invalid_request"),
        ("kwargs", 400, "invalid_request"),
        ("queue", 400, "invalid_request"),
        ("countdown_seconds", 400, "invalid_request"),
        ("eta", 400, "invalid_request"),
        ("expires", 400, "invalid_request"),
        ("priority", 400, "invalid_request"),
        ("headers", 400, "invalid_request"),
        ("reply_to", 400, "invalid_request"),
        ("id", 400, "invalid_request"),
    ] {
        assert_eq!(
            found[member],
            json!([status, code, true]),
            "{member}: {found}"
        );
    }
    for (name, text) in [
        ("missing", "needs \"text\", which is not given"),
        ("unexpected", "has no parameter \"colour\""),
        ("type", "\"text\" is 7, but it is not of type \"string\""),
        (
            "many",
            "takes at most 2 positional arguments, and 3 were given",
        ),
    ] {
        let told = &found[name];
        assert_eq!(
            (&told[0], &told[1]),
            (&json!(422), &json!("arguments_refused"))
        );
        assert!(
            told[2].as_str().unwrap_or_default().contains(text),
            "{told}"
        );
    }
    assert_eq!(found["wait"], json!([400, "invalid_request"]));
    assert_eq!(found["unknown"], json!([400, "invalid_request"]));
    assert_eq!(found["id_unknown"], json!([404, "not_found"]));
    assert_eq!(found["kind"], json!([415, "unsupported_media_type"]));
}

#[test]
fn what_is_another_tenants_looks_like_what_is_not_there() {
    let plane = plane(stage());
    let (status, made) = plane.ask(&plane.token, "POST /v1/tenants", r#"{"name":"acme"}"#);
    assert_eq!(status, 201, "{made}");
    let token = |scope: &str| {
        let wish = json!({"name": scope, "scope": scope}).to_string();
        let (status, made) = plane.ask(&plane.token, "POST /v1/tenants/acme/tokens", &wish);
        assert_eq!(status, 201, "{made}");
        made["secret"]
            .as_str()
            .or(made["text"].as_str())
            .or(made["token"].as_str())
            .expect("a token")
            .to_owned()
    };
    let found = run(&plane, "others", &[&token("call"), &token("read_only")]);
    for kind in ["tenants", "ids"] {
        let all = found[kind].as_array().expect("a list");
        assert!(
            all.iter().all(|one| *one == json!([true, 404])),
            "{kind}: {found}"
        );
    }
    // A task of the same name is not theirs either.
    let expected = json!([404, "not_found", "there is no task \"text.echo\""]);
    assert_eq!(found["task"], expected);
    assert_eq!(found["forbidden"], json!([403, "forbidden"]));
    assert_eq!(found["still"], Value::from("SUCCESS"));
}
