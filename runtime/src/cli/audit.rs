//! `celeriac audit`.

use super::exit::Exit;
use super::options::Options;
use super::screen::Screen;
use crate::platform::{AuditQuery, AuditRow};
use serde_json::{Value, json};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"audit\": [{\"number\", \"at\", \"who\", \"request\", \"action\", \"tenant\", \
    \"subject\", \"was\", \"became\"}], \"next\"}, the latest first; \"next\" is what --before takes for those before them.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many rows, at most 1000
    #[arg(short = 'N', long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,
    /// Rows before this number, as the last one shown has it
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
}

/// Shows what was changed, by whom; with --tenant of one tenant alone.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let query = AuditQuery {
        tenant: options.named_tenant(),
        before: args.before,
        limit: args.limit,
    };
    let place = options.place().await?;
    let found = place.audit(&query).await;
    place.close().await;
    let (rows, next) = found?;
    let documents: Vec<Value> = rows.iter().map(document).collect();
    screen.document(&json!({"audit": documents, "next": next}));
    if rows.is_empty() {
        screen.line("nothing was changed");
        return Ok(Exit::Done);
    }
    let lines = rows.iter().map(|row| {
        let cell = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            row.number.to_string(),
            row.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            row.who.clone(),
            row.action.clone(),
            cell(&row.tenant),
            row.subject.clone(),
            cell(&row.was),
            cell(&row.became),
        ]
    });
    let names = [
        "",
        "when (UTC)",
        "who",
        "what",
        "tenant",
        "of",
        "was",
        "became",
    ];
    screen.table(&names, lines.collect());
    if let Some(next) = next {
        screen.line(format!("more: celeriac audit --before {next}"));
    }
    Ok(Exit::Done)
}

fn document(row: &AuditRow) -> Value {
    // It is JSON of ours; what cannot be read as such is shown as text.
    let json = |text: &Option<String>| {
        let text = text.as_deref()?;
        let read: Result<Value, _> = serde_json::from_str(text);
        Some(read.unwrap_or_else(|_| Value::from(text)))
    };
    json!({
        "number": row.number,
        "at": row.at.to_string(),
        "who": row.who,
        "request": row.request,
        "action": row.action,
        "tenant": row.tenant,
        "subject": row.subject,
        "was": json(&row.was),
        "became": json(&row.became),
    })
}
