//! Where a running guest hands in what it submits. The guest waits on a thread
//! for guests; the desk works on the threads that talk to brokers.

use super::super::{Attempt, follow, record, tell};
use super::order::Order;
use super::{Handed, Planned, plan};
use crate::broker::BrokerError;
use crate::policy::budget::{Budget, ROOT};
use crate::worker::crew::Crew;
use celeriac_sandbox::{Sender, Sending, Signature, SubmitError, When, Wish};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a guest waits for an answer (10 s): longer than a broker takes to
/// restart its connection, far shorter than what a task may take.
const WAIT: Duration = Duration::from_secs(10);

/// What is handed in.
#[derive(Debug)]
enum Wanted {
    Wish { wish: Wish, when: When, index: u32 },
    Replacement(Signature),
}

#[derive(Debug)]
struct Request {
    wanted: Wanted,
    answer: oneshot::Sender<Result<String, SubmitError>>,
}

/// The guest's side of the desk.
#[derive(Debug)]
pub(in crate::worker::executor) struct Post(mpsc::Sender<Request>);

/// The worker's side of it.
#[derive(Debug)]
pub(in crate::worker::executor) struct Desk {
    requests: mpsc::Receiver<Request>,
    handed: Handed,
    /// Whether something was sent and no answer heard: the guest may send it again.
    is_unheard: bool,
}

/// Opens a desk for one attempt.
pub(in crate::worker::executor) fn open(budget: Budget) -> (Post, Desk) {
    // A guest waits for each answer, so there is never more than one request.
    let (sender, requests) = mpsc::channel(1);
    let desk = Desk {
        requests,
        handed: Handed {
            budget,
            children: HashMap::new(),
        },
        is_unheard: false,
    };
    (Post(sender), desk)
}

impl Post {
    async fn ask(&self, wanted: Wanted) -> Result<String, SubmitError> {
        let gone = || SubmitError::Unavailable("the attempt is over".to_owned());
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let request = Request { wanted, answer };
            self.0.send(request).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        };
        let late = || {
            SubmitError::Unavailable(format!(
                "the broker did not answer within {} s",
                WAIT.as_secs()
            ))
        };
        tokio::time::timeout(WAIT, asked)
            .await
            .map_err(|_| late())?
    }
}

impl Sender for Post {
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a> {
        let wish = wish.clone();
        Box::pin(self.ask(Wanted::Wish { wish, when, index }))
    }

    fn replace<'a>(&'a self, signature: &'a Signature) -> Sending<'a> {
        Box::pin(self.ask(Wanted::Replacement(signature.clone())))
    }
}

impl Desk {
    /// Serves one guest. It never ends by itself: whoever runs the guest knows
    /// when it is over.
    pub(in crate::worker::executor) async fn serve(
        &mut self,
        crew: &Crew,
        attempt: &Attempt,
    ) -> std::convert::Infallible {
        while let Some(Request { wanted, answer }) = self.requests.recv().await {
            let told = self.decide(crew, attempt, wanted).await;
            // A guest that no longer waits has hit its time limit.
            drop(answer.send(told));
        }
        std::future::pending().await
    }

    /// What was handed in.
    pub(in crate::worker::executor) fn close(self) -> Handed {
        self.handed
    }

    async fn decide(
        &mut self,
        crew: &Crew,
        attempt: &Attempt,
        wanted: Wanted,
    ) -> Result<String, SubmitError> {
        let mut budget = self.handed.budget;
        let quota = || {
            SubmitError::QuotaExceeded(format!(
                "what the task and all before it may send is used up; a task and all that follow from it send at most {ROOT} (fixed), a hundredth of what is left by each that is sent at once"
            ))
        };
        let mut planned = match wanted {
            Wanted::Replacement(signature) => {
                let count = u32::try_from(signature.tasks.len()).unwrap_or(u32::MAX);
                // Only the last one counts: it is looked at, not taken yet.
                budget.later(count).ok_or_else(quota)?;
                let planned = Order::new(crew, attempt, 0).replacement(&signature)?;
                return Ok(planned.id);
            }
            Wanted::Wish { wish, when, index } => {
                let share = match when {
                    When::Now => budget.now(wish.count()).ok_or_else(quota)?,
                    When::OnSuccess => budget.later(wish.count()).map(|()| 0).ok_or_else(quota)?,
                };
                let planned = plan(&Order::new(crew, attempt, share), &wish, index)?;
                match when {
                    When::Now => planned,
                    When::OnSuccess => Planned {
                        messages: Vec::new(),
                        rest: None,
                        ..planned
                    },
                }
            }
        };
        if !planned.messages.is_empty() {
            if self.is_unheard {
                let sent = planned.messages.iter_mut();
                sent.for_each(|sent| record::mark(&mut sent.message));
            }
            let sent = crew.broker.publish(planned.messages.clone()).await;
            self.is_unheard |= sent.is_err();
            sent.map_err(refused)?;
            tell::sent(crew, &planned.messages);
        }
        if let Some(rest) = planned.rest {
            let done = follow::carry_out(crew, &attempt.delivery, rest).await;
            let away =
                |_| SubmitError::Unavailable("the broker or the results are away".to_owned());
            done.map_err(away)?;
        }
        self.handed.budget = budget;
        let (id, children) = (planned.id, planned.children);
        self.handed.children.insert(id.clone(), children);
        Ok(id)
    }
}

fn refused(error: BrokerError) -> SubmitError {
    match error {
        BrokerError::TooLarge { .. } => SubmitError::TooLarge(error.to_string()),
        BrokerError::Unavailable { .. }
        | BrokerError::LeaseLost { .. }
        | BrokerError::Misconfigured { .. } => SubmitError::Unavailable(error.to_string()),
    }
}
