//! What a tenant may not have more of: messages that wait, and calls while it is
//! suspended or its task killed.

use super::plane;
use crate::serve::Plane;
use crate::stage;
use serde_json::{Value, json};

fn call(plane: &Plane, more: &Value) -> (u16, String) {
    let mut body = json!({"task": "text.echo", "args": [1]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let what = "POST /v1/tenants/default/tasks";
    let (status, told) = plane.ask(&plane.token, what, &body.to_string());
    let code = told["error"]["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

fn done(plane: &Plane, what: &str, body: &Value) {
    let (status, told) = plane.ask(&plane.token, what, &body.to_string());
    assert!((200..300).contains(&status), "{what}: {status} {told}");
}

#[test]
fn calls_are_refused_where_the_queue_is_full_the_tenant_suspended_or_the_task_killed() {
    let plane = plane(stage());
    let later = json!({"countdown_seconds": 3600});
    let sent = (202, String::new());
    assert_eq!(call(&plane, &later), sent);
    let quota = json!({"quota": {"queue_depth": 2}});
    done(&plane, "PATCH /v1/tenants/default", &quota);
    assert_eq!(call(&plane, &later), sent);
    assert_eq!(call(&plane, &later), (429, "queue_full".to_owned()));
    let none = json!({"quota": {}});
    done(&plane, "PATCH /v1/tenants/default", &none);
    assert_eq!(call(&plane, &later), sent);
    let suspended = (403, "tenant_suspended".to_owned());
    done(&plane, "POST /v1/tenants/default/suspend", &json!({}));
    assert_eq!(call(&plane, &later), suspended);
    done(&plane, "POST /v1/tenants/default/resume", &json!({}));
    let kill = json!({"kind": "task", "name": "text.echo", "reason": "it loops", "hold": false});
    done(&plane, "POST /v1/tenants/default/kills", &kill);
    assert_eq!(call(&plane, &later), (409, "killed".to_owned()));
    assert_eq!(
        call(&plane, &json!({"task": "text.word_count", "args": ["a"]})),
        sent
    );
}
