//! What tenants used is kept where modules come from.

use super::Follower;
use crate::plane::{UsageBatch, UsageTold};
use crate::platform::{Books, Uncounted};
use crate::remote::RemoteError;
use async_trait::async_trait;
use std::time::Duration;

/// Longest time for a batch (10 s): later it is told again, and counts once.
const PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl Books for Follower {
    async fn count(&self, batch: &UsageBatch) -> Result<(), Uncounted> {
        let ask = self.0.remote.post(&["v1", "worker", "usage"]);
        let told = ask.json(batch).within(PATIENCE).document::<UsageTold>();
        told.await.map(drop).map_err(uncounted)
    }
}

/// A batch is given up where it is wrong itself: asking again would end the same way. A token
/// that is refused can be mended, and what was used meanwhile is in the bill then.
fn uncounted(error: RemoteError) -> Uncounted {
    let reason = error.to_string();
    match error {
        RemoteError::Refused {
            status: 400 | 413 | 422,
            ..
        } => Uncounted::Refused { reason },
        _ => Uncounted::Away { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::Code;

    fn refused(code: Code) -> RemoteError {
        RemoteError::Refused {
            status: code.status(),
            code,
            message: "no".to_owned(),
            hint: "no".to_owned(),
            request_id: String::new(),
        }
    }

    #[test]
    fn only_a_batch_that_is_wrong_itself_is_given_up() {
        for code in Code::ALL {
            let given_up = matches!(uncounted(refused(code)), Uncounted::Refused { .. });
            assert_eq!(
                given_up,
                matches!(code.status(), 400 | 413 | 422),
                "{code:?}"
            );
        }
        let away = RemoteError::Away {
            url: "http://h".to_owned(),
            reason: "gone".to_owned(),
        };
        assert!(matches!(uncounted(away), Uncounted::Away { .. }));
    }
}
