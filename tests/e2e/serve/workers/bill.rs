//! What a worker elsewhere used is in the bills of its control plane.

use super::{Control, call, client};
use crate::{stage, success};
use serde_json::{Value, json};
use support::{Redis, until};

fn total(page: &Value, name: &str) -> u64 {
    let entries = page["entries"].as_array().expect("entries");
    let numbers = entries.iter().map(|entry| &entry["used"][name]);
    numbers
        .map(|number| number.as_u64().expect("a number"))
        .sum()
}

#[test]
fn what_is_used_elsewhere_is_in_the_bill_whole_after_an_outage() {
    let redis = Redis::start();
    let mut control = Control::start(stage());
    let (broker, results) = (redis.url(1), redis.url(2));
    control.tenant("acme", &broker, &results);
    control.push("acme", "text", "text");
    let client = client(&[("acme", &broker, &results)]);
    let follower = control.follower();
    let worker = follower.server(&["worker"]);
    let run = || {
        let ended = call(&client, "acme", "text.echo", r#"["abc"]"#);
        success(&ended);
        ended["usage"]["cpu_us"].as_u64().expect("a number")
    };
    let bill = |control: &Control| control.ask("GET /v1/tenants/acme/usage?by=task", &Value::Null);
    let mut sum = run();
    until("it is told", || {
        (total(&bill(&control), "attempts") == 1).then_some(())
    });
    control.plane.kill();
    sum += run();
    until("the worker notices", || {
        let says = "what tenants use cannot be kept now";
        worker.log().contains(says).then_some(())
    });
    sum += run();
    control.plane.revive();
    let page = until("all is told", || {
        let page = bill(&control);
        (total(&page, "attempts") == 3).then_some(page)
    });
    assert_eq!(total(&page, "cpu_us"), sum, "{page}");
    let entry = &page["entries"][0];
    assert_eq!(
        (&entry["module"], &entry["task"]),
        (&json!("text"), &json!("echo"))
    );
    sum += run();
    assert_eq!(worker.stop().code, Some(0));
    // The command line asks there, too.
    let away = stage()
        .with("server", &format!("http://{}", control.plane.address))
        .with("token", &control.plane.operator);
    let page = away.json(&["usage", "-T", "acme", "--by", "tenant"]);
    let used = &page["usage"][0]["used"];
    assert_eq!(
        (&used["attempts"], &used["cpu_us"]),
        (&json!(4), &json!(sum))
    );
    let whole = away.json(&["usage", "--by", "tenant"]);
    assert_eq!(whole["usage"], page["usage"]);
    // Nothing of it is in the worker's own folder.
    let own = support::file::File::open(&follower.data()).number("SELECT count(*) FROM usage");
    assert_eq!(own, 0);
}
