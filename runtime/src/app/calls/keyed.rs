//! Calls with an idempotency key: one task for a key, however often it comes.

use super::clients::Lent;
use super::request::Asked;
use super::{CallRefused, Calls};
use crate::plane::CallRequest;
use crate::platform::{CallKey, Claim, ClaimEnd, LEASE, Tenant};
use crate::task::TaskId;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often is looked whether somebody else has sent the task (50 ms, then 100, up to
/// 500).
const LOOK: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a call with a key was not sent.
enum Unsent {
    /// It was refused before.
    Refused(CallRefused),
    /// It may have been sent all the same.
    Perhaps(CallRefused),
}

impl Calls {
    /// Sends a call, unless it was sent with this key before, and returns the id of the
    /// task that the key stands for.
    pub(super) async fn call_once(
        &self,
        (tenant, client): (&Tenant, &Lent),
        request: &CallRequest,
        asked: &Asked,
        (key, body): (&CallKey, &[u8]),
    ) -> Result<TaskId, CallRefused> {
        let digest = *crate::registry::Digest::of(body).as_bytes();
        let fresh = self.0.issuer.issue(&tenant.name);
        let platform = &self.0.platform;
        let patience = Instant::now() + LEASE + PAUSE;
        let mut pause = LOOK;
        loop {
            let claim = platform.claim_call(&tenant.name, key, &digest, &fresh);
            match claim.await? {
                Claim::Sent(id) => return Ok(id),
                Claim::Other => {
                    return Err(CallRefused::KeyReused {
                        key: key.to_string(),
                    });
                }
                Claim::Ours { id, again } => {
                    let claimed = (&id, again);
                    let sent = self.send_claimed((tenant, client), request, asked, claimed);
                    let (outcome, sent) = match sent.await {
                        Ok(()) => (ClaimEnd::Sent, Ok(id)),
                        Err(Unsent::Refused(refused)) if !again => (ClaimEnd::Never, Err(refused)),
                        Err(Unsent::Refused(why) | Unsent::Perhaps(why)) => {
                            (ClaimEnd::Again, Err(why))
                        }
                    };
                    // What is not written down is sent again under the same id.
                    platform.end_claim(&tenant.name, key, outcome).await?;
                    return sent;
                }
                Claim::UnderWay if Instant::now() < patience => sleep(pause).await,
                Claim::UnderWay => {
                    return Err(CallRefused::Away {
                        what: "the other request with this key",
                        detail: "an idempotency key stayed claimed".to_owned(),
                    });
                }
            }
            pause = (pause * 2).min(PAUSE);
        }
    }

    /// Sends a call whose key is claimed. Where another had the claim and vanished, the
    /// task may be there already: then it is not sent.
    async fn send_claimed(
        &self,
        (tenant, client): (&Tenant, &Lent),
        request: &CallRequest,
        asked: &Asked,
        (id, again): (&TaskId, bool),
    ) -> Result<(), Unsent> {
        if again && client.keeps_results() {
            let found = client.results().get(id).await;
            let found = found.map_err(|error| Unsent::Refused(error.into()))?;
            if found.is_some() {
                return Ok(());
            }
        }
        let admitted = self.admit(tenant, client, request, asked).await;
        admitted.map_err(Unsent::Refused)?;
        let sent = self.send(client, asked, id.clone()).await;
        sent.map_err(Unsent::Perhaps)
    }
}
