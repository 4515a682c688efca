//! Beginning a run and storing a state, within a transaction that others wait for.

use super::super::decide::decide;
use super::super::document::{expires_at, outcome};
use super::super::{Begun, Record, ResultsError, RunUsage, Start, Write, Written};
use super::pickle::pickled;
use super::row::{Meta, Row, Run};
use super::tables::{self, Tables};
use super::{BEGUN_KEPT, Form};
use crate::clock::after;
use crate::sql::{Link, SqlError, Value};
use crate::task::State;
use jiff::Timestamp;

/// Checks what Celery's columns take, where it cannot be cut.
pub(super) fn fits(write: &Write) -> Result<(), ResultsError> {
    tables::fits("state", write.state.as_str(), tables::STATUS)
}

/// Takes the fence of a run, if it may run.
pub(super) async fn begin(
    link: &mut Link,
    tables: &Tables,
    row: &mut Row,
    start: &Start,
    now: Timestamp,
) -> Result<Begun, SqlError> {
    let begun = decide(row.recorded(&start.id, now).as_ref(), start, now);
    if begun != Begun::Run {
        return Ok(begun);
    }
    clear(link, row, start.id.as_str(), now).await?;
    let run = Run {
        record: Record {
            id: start.id.clone(),
            task: start.task.clone(),
            fence: start.fence,
            state: State::Started,
            result: None,
            exception: None,
            due: None,
            worker: start.worker.clone(),
            usage: RunUsage::default(),
            log: None,
            written_at: now,
        },
        lease_until: Some(start.lease_until),
        expires_at: Some(after(start.lease_until, BEGUN_KEPT).as_millisecond()),
        bare: true,
    };
    keep(link, tables, &run).await?;
    row.run = Some(run);
    Ok(Begun::Run)
}

/// Stores a state, unless the task is over or a later run has the record.
pub(super) async fn write(
    link: &mut Link,
    tables: &Tables,
    form: Form,
    row: &mut Row,
    write: &Write,
    now: Timestamp,
) -> Result<Written, SqlError> {
    let recorded = row.recorded(&write.id, now);
    let refuses = recorded
        .as_ref()
        .is_some_and(|recorded| recorded.record.is_last() || recorded.record.fence > write.fence);
    if refuses {
        return Ok(Written::Refused);
    }
    clear(link, row, write.id.as_str(), now).await?;
    if link
        .execute(tables.put(), values(tables, form, write, now))
        .await?
        == 0
    {
        // A Python worker was faster.
        return Ok(Written::Refused);
    }
    let goes_on = !write.state.is_final() && write.state != State::Retry;
    let run = Run {
        record: Record {
            id: write.id.clone(),
            task: write.task.clone(),
            fence: write.fence,
            state: write.state.clone(),
            result: None,
            exception: None,
            due: write.due,
            worker: write.worker.clone(),
            usage: write.usage,
            log: write.log.clone(),
            written_at: now,
        },
        lease_until: recorded
            .and_then(|recorded| recorded.lease_until)
            .filter(|_| goes_on),
        expires_at: expires_at(write, now),
        bare: write.result.is_none(),
    };
    keep(link, tables, &run).await?;
    row.meta = Some(Meta::of(write.state.clone()));
    row.run = Some(run);
    Ok(Written::Stored)
}

/// Removes what is past its time, so that it stands in nobody's way.
async fn clear(link: &mut Link, row: &mut Row, id: &str, now: Timestamp) -> Result<(), SqlError> {
    if row.is_past(now) {
        for table in ["celery_taskmeta", "celeriac_run"] {
            let sql = format!("DELETE FROM {table} WHERE task_id = $1");
            link.execute(&sql, vec![Value::text(id)]).await?;
        }
        *row = Row::default();
    }
    Ok(())
}

async fn keep(link: &mut Link, tables: &Tables, run: &Run) -> Result<(), SqlError> {
    let record = &run.record;
    let used = serde_json::to_string(&record.usage).unwrap_or_default();
    let ms = |moment: Option<Timestamp>| moment.map(Timestamp::as_millisecond);
    let values = vec![
        Value::text(record.id.as_str()),
        Value::text(&record.task),
        i64::from(record.fence.retries).into(),
        i64::from(record.fence.deliveries).into(),
        Value::text(record.state.as_str()),
        Value::text(&record.worker),
        ms(run.lease_until).into(),
        ms(record.due).into(),
        run.expires_at.into(),
        record.written_at.as_millisecond().into(),
        i64::from(run.bare).into(),
        Value::text(&used),
        Value::maybe(record.log.as_deref()),
    ];
    link.execute(tables.keep(), values).await?;
    Ok(())
}

/// The values of [`Tables::put`], in the order of its columns.
fn values(tables: &Tables, form: Form, write: &Write, now: Timestamp) -> Vec<Value> {
    let json = outcome(write, now);
    let result = match form {
        Form::Pickle => pickled(&json),
        Form::Json => json.into_bytes(),
    };
    let trace = write.exception.as_ref();
    let trace = trace.and_then(|exception| exception.trace.as_deref());
    let mut values = vec![
        Value::text(write.id.as_str()),
        Value::text(write.state.as_str()),
        Value::Bytes(Some(result)),
        Value::text(&date(now)),
        Value::maybe(trace),
    ];
    for column in tables.columns() {
        values.push(more(column, write));
    }
    values
}

/// The value of a column that not every table of Celery has.
fn more(column: &str, write: &Write) -> Value {
    let extended = write.extended.as_ref();
    let cut = |text: &str| text.chars().take(tables::NAME).collect::<String>();
    let word = |text: Option<&str>| Value::maybe(text.map(cut).as_deref());
    let bytes = |text: Option<&str>| Value::Bytes(text.map(|text| text.as_bytes().to_vec()));
    match column {
        "children" => {
            let sent = Some(write.children.as_str());
            bytes(sent.filter(|sent| !sent.is_empty() && *sent != "[]"))
        }
        "name" => word(extended.map(|extended| extended.name.as_str())),
        "args" => bytes(extended.map(|extended| extended.args())),
        "kwargs" => bytes(extended.map(|extended| extended.kwargs())),
        "worker" => word(extended.map(|extended| extended.worker.as_str())),
        // The column has 32 bits with a sign.
        "retries" => Value::Int(
            extended.map(|extended| i32::try_from(extended.retries).unwrap_or(i32::MAX).into()),
        ),
        "queue" => word(extended.map(|extended| extended.queue.as_str())),
        _ => {
            let stamps = extended.map(|extended| &extended.stamps);
            let stamps = stamps.filter(|stamps| !stamps.is_empty()).map(|stamps| {
                let names: Vec<&String> = stamps.keys().collect();
                serde_json::json!({"stamped_headers": names, "stamps": stamps}).to_string()
            });
            bytes(stamps.as_deref())
        }
    }
}

/// Writes a moment as SQLAlchemy does: UTC without saying so.
pub(super) fn date(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}
