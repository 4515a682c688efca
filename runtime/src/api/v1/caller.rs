//! Who asks, and whether they may.
//!
//! A handler names [`Caller`] before anything that reads a body: a stranger's bytes are
//! not even looked at.

use super::front::RequestId;
use super::{Plane, Problem, trouble};
use crate::plane::Code;
use crate::platform::{Actor, Identity, Tenant, Unauthenticated};
use crate::policy::access::{self, Action, Answer};
use crate::task::{Scope, TenantName};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

/// Longest token that is looked at (256 bytes).
const TOKEN_BYTES: usize = 256;

/// Somebody with a token that holds.
#[derive(Debug, Clone)]
pub(in crate::api) struct Caller {
    identity: Identity,
    request: RequestId,
    plane: Plane,
}

impl FromRequestParts<Plane> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Problem> {
        let text = bearer(parts).ok_or_else(unauthorized)?;
        let identity = match plane.platform.authenticate(text).await {
            Ok(identity) => identity,
            Err(Unauthenticated::Refused) => return Err(unauthorized()),
            Err(Unauthenticated::Platform(error)) => return Err(trouble::platform(error)),
        };
        // Workers are the operator's own, and fetch much when they start.
        if identity.scope != Scope::Worker {
            plane.token_pace(&identity)?;
        }
        let request = parts.extensions.get::<RequestId>().cloned();
        Ok(Self {
            identity,
            request: request.unwrap_or_else(RequestId::random),
            plane: plane.clone(),
        })
    }
}

impl Caller {
    /// Checks something that is done to the whole installation.
    ///
    /// # Errors
    /// 403, or 404 where they shall not know of it.
    pub(in crate::api) fn may(&self, action: Action) -> Result<(), Problem> {
        match self.asked(action, None) {
            Answer::Granted => Ok(()),
            Answer::Forbidden => Err(self.forbidden()),
            Answer::Hidden => Err(Problem::not_found("path", "")),
        }
    }

    /// Checks something that is done to a tenant, and returns the tenant.
    ///
    /// # Errors
    /// 404 for a tenant that is not there or not theirs, which looks the same; 403 for
    /// what their token is not for, or while their tenant is suspended; 503.
    pub(in crate::api) async fn tenant(
        &self,
        action: Action,
        name: &str,
    ) -> Result<Tenant, Problem> {
        let nobody = || self.nobody(name);
        // A name that cannot be is that of nobody.
        let tenant: TenantName = name.parse().map_err(|_| nobody())?;
        match self.asked(action, Some(&tenant)) {
            Answer::Granted => {}
            Answer::Forbidden => return Err(self.forbidden()),
            Answer::Hidden => return Err(nobody()),
        }
        let tenant = self.plane.platform.tenant(&tenant).await;
        let tenant = tenant.map_err(trouble::platform)?;
        let is_own = self.identity.tenant.is_some();
        if tenant.suspended && is_own && !action.goes_on_while_suspended() {
            return Err(Problem::new(
                Code::TenantSuspended,
                format!("the tenant {:?} is suspended", tenant.name.as_str()),
                "ask the operator; until then you can look, revoke and kill",
            ));
        }
        Ok(tenant)
    }

    /// Returns whom the audit names.
    pub(in crate::api) fn actor(&self) -> Actor {
        let who = format!("token {} ({})", self.identity.token, self.identity.name);
        Actor::new(&who, Some(self.request.as_str()))
    }

    /// Returns who it is.
    pub(in crate::api) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A tenant that is not there, or not theirs; whose token it is, its holder may know.
    fn nobody(&self, name: &str) -> Problem {
        let problem = Problem::not_found("tenant", name);
        match &self.identity.tenant {
            None => problem,
            Some(own) => problem.with_hint(format!(
                "this token belongs to the tenant {:?}: name that one, on the command line with -T",
                own.as_str()
            )),
        }
    }

    fn asked(&self, action: Action, to: Option<&TenantName>) -> Answer {
        let own = self.identity.tenant.as_ref();
        access::may(self.identity.scope, own, action, to)
    }

    fn forbidden(&self) -> Problem {
        Problem::new(
            Code::Forbidden,
            format!("a token of scope {} is not for this", self.identity.scope),
            "use a token of another scope",
        )
    }
}

/// Returns the token of a request.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut all = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (one, more) = (all.next()?, all.next());
    let text = one.to_str().ok().filter(|text| text.len() <= TOKEN_BYTES)?;
    let (scheme, token) = text.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && more.is_none();
    is_bearer.then(|| token.trim())
}

fn unauthorized() -> Problem {
    Problem::new(
        Code::Unauthorized,
        "there is no valid token",
        "send one that holds in a header `Authorization: Bearer clr_…`",
    )
}
