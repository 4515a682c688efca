//! Outgoing HTTP of many calls in one message: one attempt, one budget.

use crate::{stage, success};
use serde_json::{Value, json};
use support::{Site, Stage};

/// Fetches a URL so many times in one message.
fn map(stage: &Stage, url: &str, times: usize) -> Value {
    let signature = json!({"task": "web.fetch", "args": [], "kwargs": {}, "options": {}});
    let map = json!({"task": signature, "it": vec![url; times]}).to_string();
    let id = stage.send("celery.map", &["-k", &map]);
    stage.ended(&id)
}

#[test]
fn all_calls_of_a_map_have_one_number_of_requests() {
    let site = Site::plain("hello");
    let url = site.url("127.0.0.1");
    let text = format!(
        "[grants.web]\nhttp = [\"{url}\"]\nhttp_private = [\"127.0.0.1\"]\n[http]\nrequests = 3\n"
    );
    for isolate in ["false", "true"] {
        let stage = stage().with("worker.isolate", isolate);
        stage.write("celeriac.toml", &text);
        stage.push("web");
        let _dev = stage.dev();
        let all = map(&stage, &url, 3);
        assert_eq!(success(&all).as_array().map(Vec::len), Some(3), "{all}");
        let more = map(&stage, &url, 4);
        assert_ne!(more["state"], "SUCCESS", "{more}");
        let log = more["log"]["lines"].to_string();
        assert!(log.contains("no more than 3 requests"), "{isolate}: {more}");
    }
}
