//! Where a command works: on the stores of this machine, or through a control plane.
//!
//! What is found has the same types either way, so that each command shows it in one way
//! and programs get one document.

mod audit;
mod kills;
mod modules;
mod pushes;
mod read;
mod tenants;
mod tokens;
mod usage;

pub(crate) use modules::Whose;
pub(crate) use pushes::Taken;
pub(crate) use tokens::Made;

use crate::app::App;
use crate::clock::Clock;
use crate::plane::PAGE;
use crate::remote::{Remote, RemoteError};
use crate::task::TenantName;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// Most pages of a list (1,000): a million entries.
const PAGES: usize = 1_000;

/// Where a command works.
pub(crate) enum Place {
    /// On the stores of this machine.
    Here(Box<App>),
    /// Through a control plane.
    There(Remote),
}

impl Place {
    /// Returns what time it is.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Here(app) => app.clock().now(),
            Self::There(_) => Clock::System.now(),
        }
    }

    /// Lets go of the stores.
    pub(crate) async fn close(self) {
        match self {
            Self::Here(app) => app.close().await,
            Self::There(_) => {}
        }
    }
}

/// Returns the path of something of a tenant.
fn of_tenant<'a>(tenant: &'a TenantName, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["v1", "tenants", tenant.as_str()];
    path.extend(rest);
    path
}

/// Reads a list page by page; `next` takes the cursor out of a page.
async fn pages<T: DeserializeOwned>(
    remote: &Remote,
    path: &[&str],
    next: impl Fn(&mut T) -> Option<String>,
) -> Result<Vec<T>, RemoteError> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = remote.get(path).query("limit", Some(PAGE));
        let mut page: T = page.query("after", after).document().await?;
        after = next(&mut page);
        pages.push(page);
        if after.is_none() || pages.len() >= PAGES {
            return Ok(pages);
        }
    }
}
