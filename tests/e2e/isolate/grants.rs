//! Every grant, used by guests apart, and denied to those that have none.

use super::cells;
use crate::{failure, stage, success};
use serde_json::json;
use support::Site;

const TOKEN: &str = "hunter2-and-more";

#[test]
fn guests_apart_use_what_they_are_granted_and_others_are_told_the_line() {
    let site = Site::mirror();
    let url = site.url("127.0.0.1");
    let stage = stage()
        .with("worker.isolate", "true")
        .with("worker.confine", "require");
    stage.write("token", TOKEN);
    stage.write(
        "celeriac.toml",
        format!(
            "[values]\nGREETING = \"Hello from Ulm\"\n[secrets]\nAPI_TOKEN = {{ file = \"token\" }}\n\
             [grants.odd]\nconfig = [\"GREETING\"]\nsecrets = [\"API_TOKEN\"]\nkey_value = \"1MiB\"\n\
             scratch = \"1MiB\"\nsubmit = [\"odd.waits\"]\n\
             [grants.web]\nhttp = [\"{url}\"]\nhttp_private = [\"127.0.0.1\"]\n\
             inject = [\"{url} Authorization: Bearer {{API_TOKEN}}\"]\n"
        ),
    );
    for module in ["odd", "web"] {
        stage.push(module);
    }
    let dev = stage.dev();
    let file = stage.component("odd").display().to_string();
    stage.json(&["push", &file, "--name", "other"]);
    for (task, args, result) in [
        ("greets", r#"["GREETING"]"#, json!("Hello from Ulm")),
        ("measures", r#"["API_TOKEN"]"#, json!(TOKEN.len())),
        ("keeps", r#"["a", "b"]"#, json!(null)),
        ("keeps", r#"["a", "c"]"#, json!("b")),
        ("scribbles", "[1048576]", json!(1_048_576)),
    ] {
        let stored = stage.call(&format!("odd.{task}"), args);
        assert_eq!(*success(&stored), result, "{task}");
        let denied = stage.call(&format!("other.{task}"), args);
        failure(&denied, "celeriac.StoreError");
        assert!(denied.to_string().contains("[grants."), "{denied}");
    }
    let sent = stage.call("odd.sends", r#"["odd.waits", 1, "now", "return"]"#);
    assert_eq!(success(&sent).as_array().map(Vec::len), Some(1), "{sent}");
    let fetched = stage.call("web.fetch", &json!([url]).to_string());
    let head = success(&fetched)[2].as_str().expect("a text");
    assert!(head.contains(TOKEN), "{head}");
    let used = fetched["usage"].to_string();
    assert!(used.contains("http") && used.contains("secrets"), "{used}");
    assert_eq!(cells(&dev).len(), 3);
}
