//! A task followed until it is over, with its progress on the way.

use super::{record, strange};
use crate::cli::result::{Stage, progress};
use crate::cli::screen::Spinner;
use crate::plane::TaskStatus;
use crate::remote::{Remote, RemoteError, Told};
use crate::results::Record;
use crate::task::{TaskId, TenantName};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the stream is opened again in a row while nothing comes and it breaks off soon: a
/// control plane that starts again takes some seconds.
const TRIES: u32 = 30;
/// A stream that was open so long (5 s) did not break off soon: it ends by itself after an
/// hour, and sooner behind many a proxy.
const SOON: Duration = Duration::from_secs(5);
/// The pause before each.
const PAUSE: Duration = Duration::from_secs(1);

/// Which task is followed, and where.
pub(super) struct Asked<'a> {
    pub(super) remote: &'a Remote,
    pub(super) tenant: &'a TenantName,
    pub(super) id: &'a TaskId,
}

/// Follows a task until it is over. A stream that breaks off is opened again where it ended.
pub(super) async fn follow(asked: &Asked<'_>, spinner: &Spinner) -> anyhow::Result<Record> {
    let (mut last, mut tries) = (None, 0);
    loop {
        let (seen, began) = (last.clone(), Instant::now());
        let ended = stream(asked, &mut last, spinner).await;
        match ended {
            Ok(Some(event)) => return over(&event),
            // It ends by itself after a time, or with the control plane.
            Ok(None) => {}
            Err(error) if error.passes() && tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
        tries = match seen == last && began.elapsed() < SOON {
            true => tries + 1,
            false => 0,
        };
        if tries > TRIES {
            return Err(strange(&"its events end before it is over").into());
        }
        sleep(PAUSE).await;
    }
}

/// Reads events until the last one; `None` when there are no more before it.
async fn stream(
    asked: &Asked<'_>,
    last: &mut Option<String>,
    spinner: &Spinner,
) -> Result<Option<Told>, RemoteError> {
    let (tenant, id) = (asked.tenant.as_str(), asked.id.as_str());
    let path = ["v1", "tenants", tenant, "tasks", id, "events"];
    let stream = asked.remote.get(&path);
    let mut stream = stream
        .header("last-event-id", last.as_deref())
        .events()
        .await?;
    while let Some(event) = stream.next().await? {
        *last = Some(event.id.clone()).filter(|id| !id.is_empty());
        match event.name.as_str() {
            "result" => return Ok(Some(event)),
            "state" | "progress" => tell(&event, spinner),
            // Lines of the log are in the record, too.
            _ => {}
        }
    }
    Ok(None)
}

fn tell(event: &Told, spinner: &Spinner) {
    // What cannot be read is not shown; the end is.
    if let Ok(stage) = serde_json::from_str::<Stage>(&event.data) {
        progress(spinner, &stage);
    }
}

fn over(event: &Told) -> anyhow::Result<Record> {
    let status = serde_json::from_str::<TaskStatus>(&event.data);
    let status = status.map_err(|error| strange(&error))?;
    let record = record::of(status)?;
    Ok(record.ok_or_else(|| strange(&"it is over, and nothing is known of it"))?)
}
