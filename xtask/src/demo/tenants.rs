//! Two tenants side by side on one worker: one floods it, the other's single tasks start all
//! the same, and what is one's is nothing to the other.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::plane::Caller;
use super::stage::Stage;
use super::table;
use crate::commands::say;

/// The tenant that floods, and the other.
const ACME: &str = "acme";
const GLOBEX: &str = "globex";
/// The module of both; the component of each is another.
const MODULE: &str = "tools";
/// Tasks of the flood, and single tasks of the other tenant beside it.
const FLOOD: usize = 300;
const SINGLE: usize = 10;
/// Longest wait of a single task for its start, ms. The flood takes many times as long.
const SOON: f64 = 1_000.0;

/// Both with what they can do over HTTP.
struct Two {
    acme: Caller,
    globex: Caller,
    deploys: Caller,
}

/// Plays the scene.
pub(super) fn side_by_side(stage: &Stage, target: &Path) -> Result<()> {
    for (tenant, example) in [(ACME, "numbers"), (GLOBEX, "text")] {
        let file = target.join(format!("guests/components/{example}.wasm"));
        let file = file.to_str().context("the path is not text")?;
        stage.show(&["tenant", "create", tenant])?;
        stage.show(&["push", file, "--name", MODULE, "-T", tenant])?;
    }
    let two = Two {
        acme: Caller::new(stage, ACME, "call")?,
        globex: Caller::new(stage, GLOBEX, "call")?,
        deploys: Caller::new(stage, GLOBEX, "deploy")?,
    };
    say(&format!(
        "{ACME} sends {FLOOD} tasks that compute; meanwhile {GLOBEX} sends {SINGLE} small ones, one after the other:"
    ));
    let flood = two.flood()?;
    let single = two.single()?;
    let flooded = states(&two.acme, ACME, &flood)?;
    say(&format!("\n{}", shares(&flooded, &single)));
    let left = flooded.iter().filter(|state| !is_over(state)).count();
    ensure!(left > 0, "the flood was over before anybody was beside it");
    let latest = waits(&single).into_iter().fold(0.0, f64::max);
    ensure!(latest < SOON, "a task of {GLOBEX} waited for {latest} ms");
    let first = flood.first().context("a flood has a first task")?;
    two.strangers(stage, first)?;
    stopped(stage, &two, &flood)
}

impl Two {
    /// Sends the flood, and returns the ids of its tasks.
    fn flood(&self) -> Result<Vec<String>> {
        let call = json!({"task": "tools.fibonacci", "args": [200_000_000]});
        (0..FLOOD).map(|_| sent(&self.acme, ACME, &call)).collect()
    }

    /// Sends the single tasks, each after the end of the one before, and returns what became
    /// of them.
    fn single(&self) -> Result<Vec<Value>> {
        let call = json!({"task": "tools.word_count", "args": ["to be or not to be"]});
        let one = |_| {
            let id = sent(&self.globex, GLOBEX, &call)?;
            let path = format!("/v1/tenants/{GLOBEX}/tasks/{id}?wait=60");
            let (_, state) = self.globex.ask("GET", &path, &Value::Null)?;
            let is_six = state.get("result").and_then(Value::as_u64) == Some(6);
            ensure!(is_six, "not as expected: {state}");
            Ok(state)
        };
        (0..SINGLE).map(one).collect()
    }

    /// Tries what is not the caller's, and shows what is answered.
    fn strangers(&self, stage: &Stage, theirs: &str) -> Result<()> {
        let [foreign, own] = [ACME, GLOBEX].map(|tenant| format!("/v1/tenants/{tenant}/tasks"));
        let (one, seen) = (format!("{foreign}/{theirs}"), format!("{own}/{theirs}"));
        let revoke = format!("{one}/revoke");
        let call = |task: &str| json!({"task": task, "args": [1]});
        let elsewhere = json!({"task": "tools.word_count", "args": ["a"], "queue": "acme"});
        let nothing = || Value::Null;
        let tried: [(&str, &str, &str, Value); 6] = [
            ("reads a result of acme's", "GET", &one, nothing()),
            ("reads it as if it were its own", "GET", &seen, nothing()),
            ("revokes it", "POST", &revoke, json!({})),
            (
                "calls a task of acme's",
                "POST",
                &foreign,
                call("tools.fibonacci"),
            ),
            (
                "calls it by its name",
                "POST",
                &own,
                call("tools.fibonacci"),
            ),
            ("sends to another queue", "POST", &own, elsewhere),
        ];
        let mut rows = vec![["globex".to_owned(), "is answered".to_owned(), String::new()]];
        for (what, method, path, body) in tried {
            let answer = self.globex.ask(method, path, &body)?;
            rows.push(refused(what, &answer)?);
        }
        let path = format!("/v1/tenants/{ACME}/modules/{MODULE}");
        let answer = self
            .deploys
            .send("PUT", &path, "application/wasm", b"\0asm")?;
        rows.push(refused("pushes a module of acme's", &answer)?);
        say(&format!("\n{}", table::grid(&rows, 1..1)));
        let stored = stage.ask(&["result", theirs, "-T", GLOBEX, "--json"])?;
        let state = stored.get("state").and_then(Value::as_str);
        ensure!(state == Some("PENDING"), "not as expected: {stored}");
        Ok(())
    }
}

/// Stops the tenant that floods, and nobody else.
fn stopped(stage: &Stage, two: &Two, flood: &[String]) -> Result<()> {
    say("\nan operator stops whatever acme runs:");
    stage.show(&["kill", "--all", "-T", ACME, "--reason", "it floods"])?;
    let last = flood.last().context("a flood has a last task")?;
    let path = format!("/v1/tenants/{ACME}/tasks/{last}?wait=60");
    let (_, state) = two.acme.ask("GET", &path, &Value::Null)?;
    let class = state.pointer("/exception/class").and_then(Value::as_str);
    let class = class.unwrap_or_default();
    ensure!(class.ends_with("Killed"), "not as expected: {state}");
    let after = two.single()?;
    say(&format!(
        "the last of its flood ended as {class}; {} more of {GLOBEX} succeeded",
        after.len()
    ));
    Ok(())
}

fn sent(caller: &Caller, tenant: &str, call: &Value) -> Result<String> {
    let (status, answer) = caller.ask("POST", &format!("/v1/tenants/{tenant}/tasks"), call)?;
    let id = answer.get("id").and_then(Value::as_str);
    Ok(id.with_context(|| format!("{status} {answer}"))?.to_owned())
}

fn states(caller: &Caller, tenant: &str, ids: &[String]) -> Result<Vec<Value>> {
    let asked = ids.iter().map(|id| {
        let path = format!("/v1/tenants/{tenant}/tasks/{id}");
        Ok(caller.ask("GET", &path, &Value::Null)?.1)
    });
    asked.collect()
}

fn is_over(state: &Value) -> bool {
    state.get("ended").and_then(Value::as_bool) == Some(true)
}

/// The time that each which ended waited for its start, ms.
fn waits(states: &[Value]) -> Vec<f64> {
    let over = states.iter().filter(|state| is_over(state));
    let waits = over.filter_map(|state| state.pointer("/usage/queue_wait_ms")?.as_f64());
    waits.collect()
}

/// What both got of the worker meanwhile.
fn shares(acme: &[Value], globex: &[Value]) -> String {
    let head = [
        "tenant",
        "sent",
        "ended",
        "median wait",
        "longest wait",
        "CPU of all",
    ];
    let row = |name: &str, states: &[Value]| {
        let mut waits = waits(states);
        waits.sort_by(f64::total_cmp);
        let cpu = states
            .iter()
            .filter_map(|state| state.pointer("/usage/cpu_us")?.as_f64());
        let micros = |ms: Option<&f64>| table::time(ms.copied().unwrap_or_default() * 1e3);
        [
            name.to_owned(),
            states.len().to_string(),
            waits.len().to_string(),
            micros(waits.get(waits.len() / 2)),
            micros(waits.last()),
            table::time(cpu.sum()),
        ]
    };
    let rows = [
        head.map(str::to_owned),
        row(ACME, acme),
        row(GLOBEX, globex),
    ];
    table::grid(&rows, 1..6)
}

/// The row of a request that must be refused.
fn refused(what: &str, (status, answer): &(u16, Value)) -> Result<[String; 3]> {
    let text = |path: &str| answer.pointer(path).and_then(Value::as_str);
    let code = text("/error/code").unwrap_or_default();
    ensure!(
        (400..500).contains(status) && !code.is_empty(),
        "{what}: {status} {answer}"
    );
    let words = text("/error/message").unwrap_or_default();
    Ok([
        what.to_owned(),
        format!("{status} {code}"),
        words.to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_over_has_waited() {
        let over =
            |ms: u64| json!({"ended": true, "usage": {"queue_wait_ms": ms, "cpu_us": 2_000}});
        let states = [
            over(3),
            json!({"ended": false, "state": "STARTED"}),
            over(1),
        ];
        assert_eq!(waits(&states), [3.0, 1.0]);
        let shown = shares(&states, &[over(2)]);
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(rows[2], ["acme", "3", "2", "3.0 ms", "3.0 ms", "4.0 ms"]);
        assert_eq!(rows[3], ["globex", "1", "1", "2.0 ms", "2.0 ms", "2.0 ms"]);
    }

    #[test]
    fn a_success_where_a_refusal_is_wanted_is_an_error() {
        let told = json!({"error": {"code": "not_found", "message": "there is no task"}});
        let row = refused("reads", &(404, told)).unwrap();
        assert_eq!(row, ["reads", "404 not_found", "there is no task"]);
        assert!(refused("reads", &(200, json!({"state": "SUCCESS"}))).is_err());
        assert!(refused("reads", &(500, json!({"error": {"code": "internal"}}))).is_err());
    }
}
