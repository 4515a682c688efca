//! Publishing from a command: a broker that is away is tried again for a while.

use super::screen::Screen;
use crate::app::App;
use crate::broker::{BrokerError, Outgoing};
use crate::telemetry::human;

/// Publishes a message, trying as often as `[publish]` allows, and says so each time. A
/// try whose answer was lost leaves a second message of the same id, as with Celery; where
/// results are kept, the record of the run makes it stale.
pub(super) async fn publish(
    app: &App,
    outgoing: Outgoing,
    screen: &mut Screen,
) -> Result<(), BrokerError> {
    let policy = &app.config().publish;
    let mut tries = 0;
    loop {
        let error = match app.broker().publish(vec![outgoing.clone()]).await {
            Err(error @ BrokerError::Unavailable { .. }) => error,
            published => return published,
        };
        let Some(pause) = policy.pause(tries) else {
            return Err(error);
        };
        tries += 1;
        let when = match pause.is_zero() {
            true => "at once".to_owned(),
            false => format!("in {}", human::span(pause)),
        };
        let most = policy.max_retries;
        screen.note(&format!("{error}; trying again {when} ({tries} of {most})"));
        tokio::time::sleep(pause).await;
    }
}
