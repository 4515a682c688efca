//! Answers of workers as tables for people.

use super::What;
use crate::cli::screen::{Line, Screen};
use serde_json::Value;

/// Shows the answers, by worker.
pub(super) fn show(what: What, answers: &[(String, Value)], screen: &mut Screen) {
    for (node, answer) in answers {
        if let Some(error) = answer.get("error") {
            screen.line(Line::new().text(format!("{node}: ")).bad(text(error)));
        }
    }
    match what {
        What::Ping | What::Report => said(answers, screen),
        What::Active | What::Reserved => {
            let rows = lists(answers).map(|(node, task)| row(node, task, "time_start"));
            table(&["worker", "task", "id", "args", "since"], rows, screen);
        }
        What::Scheduled => {
            let rows = lists(answers).map(|(node, one)| {
                let mut cells = row(node, one.get("request").unwrap_or(&Value::Null), "");
                cells.truncate(4);
                cells.push(member(one, "eta"));
                cells
            });
            table(&["worker", "task", "id", "args", "due"], rows, screen);
        }
        What::Registered | What::Revoked => {
            let name = if what == What::Revoked { "id" } else { "task" };
            let rows = lists(answers).map(|(node, one)| vec![node.to_owned(), text(one)]);
            table(&["worker", name], rows, screen);
        }
        What::Killed => {
            let rows = lists(answers).map(|(node, kill)| {
                let cells = ["kind", "name", "killed_at", "reason"];
                let cells = cells.map(|name| member(kill, name));
                [vec![node.to_owned()], cells.to_vec()].concat()
            });
            let names = ["worker", "", "killed", "since", "reason"];
            table(&names, rows, screen);
        }
        What::Queues => {
            let rows = lists(answers).map(|(node, queue)| {
                let exchange = queue.get("exchange").unwrap_or(&Value::Null);
                vec![
                    node.to_owned(),
                    member(queue, "name"),
                    member(exchange, "name"),
                    member(exchange, "type"),
                    member(queue, "routing_key"),
                ]
            });
            let names = ["worker", "queue", "exchange", "type", "routing key"];
            table(&names, rows, screen);
        }
        What::Stats => stats(answers, screen),
    }
}

fn said(answers: &[(String, Value)], screen: &mut Screen) {
    for (node, answer) in answers {
        if let Some(words) = answer.get("ok") {
            screen.line(Line::new().strong(node).text(format!(": {}", text(words))));
        }
    }
}

fn stats(answers: &[(String, Value)], screen: &mut Screen) {
    let rows = answers.iter().map(|(node, stats)| {
        let total = stats.get("total").and_then(Value::as_object);
        let total = total.into_iter().flatten();
        let total: u64 = total.filter_map(|(_, count)| count.as_u64()).sum();
        let pool = stats.get("pool").unwrap_or(&Value::Null);
        vec![
            node.clone(),
            member(stats, "pid"),
            member(stats, "uptime"),
            member(pool, "max-concurrency"),
            total.to_string(),
        ]
    });
    let names = ["worker", "pid", "up (s)", "concurrency", "started"];
    table(&names, rows, screen);
}

/// Everything of every list, with who said it.
fn lists(answers: &[(String, Value)]) -> impl Iterator<Item = (&str, &Value)> {
    answers.iter().flat_map(|(node, answer)| {
        let list = answer.as_array().into_iter().flatten();
        list.map(|one| (node.as_str(), one))
    })
}

fn row(node: &str, task: &Value, since: &str) -> Vec<String> {
    let started = task.get(since).and_then(Value::as_f64);
    let started = started.and_then(|seconds| jiff::SignedDuration::try_from_secs_f64(seconds).ok());
    let started = started.and_then(|since| jiff::Timestamp::from_duration(since).ok());
    vec![
        node.to_owned(),
        member(task, "name"),
        member(task, "id"),
        member(task, "args"),
        started.map_or_else(
            || "-".to_owned(),
            |at| at.strftime("%H:%M:%S UTC").to_string(),
        ),
    ]
}

fn member(of: &Value, name: &str) -> String {
    of.get(name).map_or_else(|| "-".to_owned(), text)
}

/// A text as it is, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string().chars().take(60).collect()
        }
    }
}

fn table(names: &[&str], rows: impl Iterator<Item = Vec<String>>, screen: &mut Screen) {
    let rows: Vec<_> = rows.collect();
    match rows.is_empty() {
        true => screen.line("none"),
        false => screen.table(names, rows),
    }
}
