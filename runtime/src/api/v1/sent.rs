//! What comes with a request: its path, its query and its body, each within its limits.

use super::{Plane, Problem};
use crate::plane::{Code, PAGE, PAGE_DEFAULT};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::IntoParams;

/// Largest body that is not a component (1 MiB).
pub(in crate::api) const BODY_BYTES: u64 = 1 << 20;

/// The names in a path.
#[derive(Debug)]
pub(in crate::api) struct At<T>(pub(in crate::api) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Plane> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, plane).await;
        // Names that cannot be read are those of nothing.
        let path = path.map_err(|_| Problem::not_found("path", parts.uri.path()))?;
        Ok(Self(path.0))
    }
}

/// What follows the `?`.
#[derive(Debug)]
pub(in crate::api) struct Asked<T>(pub(in crate::api) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Plane> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, plane).await;
        let query = query.map_err(|error| {
            Problem::invalid(
                format!(
                    "the query cannot be read: {}",
                    super::problem::short(&error.body_text())
                ),
                "GET /v1/openapi.json tells what may stand there",
            )
        })?;
        Ok(Self(query.0))
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Page {
    /// How many entries at most, 1 to 1000.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 1_000, default = 100, required = false)]
    pub(in crate::api) limit: u32,
    /// What the page before had as `next`.
    #[param(max_length = 512)]
    pub(in crate::api) after: Option<String>,
}

fn default_limit() -> u32 {
    PAGE_DEFAULT
}

impl Page {
    /// Returns how many entries are wanted.
    ///
    /// # Errors
    /// 400 for none and for more than a page has.
    pub(in crate::api) fn limit(&self) -> Result<usize, Problem> {
        if !(1..=PAGE).contains(&self.limit) {
            return Err(Problem::invalid(
                format!("limit is {}; 1 to {PAGE} is allowed", self.limit),
                "ask for less, and for the next page with `after`",
            ));
        }
        Ok(usize::try_from(self.limit).unwrap_or(usize::MAX))
    }

    /// Cuts the page out of a list that is ordered by `key`, and returns it with the key
    /// that the next one comes after.
    ///
    /// # Errors
    /// As [`Page::limit`].
    pub(in crate::api) fn cut<T>(
        &self,
        mut all: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        let limit = self.limit()?;
        if let Some(after) = &self.after {
            match all.iter().position(|one| key(one) == *after) {
                Some(at) => drop(all.drain(..=at)),
                // It went in between: the list goes on where it would be.
                None => all.retain(|one| key(one) > *after),
            }
        }
        let is_last = all.len() <= limit;
        all.truncate(limit);
        let next = all.last().filter(|_| !is_last).map(&key);
        Ok((all, next))
    }
}

/// A body that was not read yet.
#[derive(Debug)]
pub(in crate::api) struct Sent {
    headers: HeaderMap,
    body: Body,
    time: Duration,
}

impl FromRequest<Plane> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, plane: &Plane) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Ok(Self {
            headers: parts.headers,
            body,
            time: plane.limits.body,
        })
    }
}

impl Sent {
    /// Reads a document of at most [`BODY_BYTES`].
    ///
    /// # Errors
    /// 400, 408, 413 or 415.
    pub(in crate::api) async fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        self.is(&["application/json"])?;
        let bytes = self.bytes(BODY_BYTES).await?;
        read(&bytes)
    }

    /// Reads a document, or takes the default where there is no body or `null`.
    ///
    /// # Errors
    /// As [`Sent::json`].
    pub(in crate::api) async fn maybe_json<T: DeserializeOwned + Default>(
        self,
    ) -> Result<T, Problem> {
        let named = self.headers.contains_key(header::CONTENT_TYPE);
        if named {
            self.is(&["application/json"])?;
        }
        let bytes = self.bytes(BODY_BYTES).await?;
        match (bytes.is_empty(), named) {
            (true, _) => Ok(T::default()),
            (false, true) => Ok(read::<Option<T>>(&bytes)?.unwrap_or_default()),
            (false, false) => Err(wrong_type("", &["application/json"])),
        }
    }

    /// Checks the type of the body.
    ///
    /// # Errors
    /// 415.
    pub(in crate::api) fn is(&self, wanted: &[&str]) -> Result<(), Problem> {
        let kind = self.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let plain = kind.split(';').next().unwrap_or_default().trim();
        match wanted.iter().any(|one| plain.eq_ignore_ascii_case(one)) {
            true => Ok(()),
            false => Err(wrong_type(kind, wanted)),
        }
    }

    /// Reads all bytes, at most `most`.
    ///
    /// # Errors
    /// 408 when they do not come in time, 413 when they are more.
    pub(in crate::api) async fn bytes(self, most: u64) -> Result<Bytes, Problem> {
        let told = self.headers.get(header::CONTENT_LENGTH);
        let told = told.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|told| told > most) {
            return Err(too_large(most));
        }
        let time = self.time;
        let whole = timeout(time, collect(self.body, most)).await;
        whole.unwrap_or_else(|_| {
            Err(Problem::new(
                Code::RequestTimeout,
                format!("the body did not arrive within {} s", time.as_secs()),
                "send it faster, or less of it",
            ))
        })
    }
}

async fn collect(body: Body, most: u64) -> Result<Bytes, Problem> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(some) = stream.next().await {
        let some = some.map_err(|_| {
            Problem::invalid(
                "the body ends too early",
                "send all of it over one connection",
            )
        })?;
        if some.len() > most.saturating_sub(all.len()) {
            return Err(too_large(u64::try_from(most).unwrap_or(u64::MAX)));
        }
        all.extend_from_slice(&some);
    }
    Ok(all.into())
}

/// Reads a document.
///
/// # Errors
/// 400.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::invalid(
            format!(
                "the body cannot be read: {}",
                super::problem::short(&error.to_string())
            ),
            "GET /v1/openapi.json tells what is wanted",
        )
    })
}

fn wrong_type(kind: &str, wanted: &[&str]) -> Problem {
    Problem::new(
        Code::UnsupportedMediaType,
        format!("the body is {:?}", super::problem::short(kind)),
        format!("send {} and say so in Content-Type", wanted.join(" or ")),
    )
}

fn too_large(most: u64) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the body has more than {most} bytes, which is the most"),
        "send less",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: u32, after: Option<&str>) -> Page {
        Page {
            limit,
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn pages_go_on_where_the_one_before_ended_though_it_went() {
        let all = || ["a", "b", "d", "e"].map(str::to_owned).to_vec();
        let cut = |limit, after| {
            let (some, next) = page(limit, after).cut(all(), Clone::clone).unwrap();
            (some.concat(), next)
        };
        assert_eq!(cut(2, None), ("ab".to_owned(), Some("b".to_owned())));
        assert_eq!(cut(2, Some("b")), ("de".to_owned(), None));
        assert_eq!(cut(2, Some("c")), ("de".to_owned(), None));
        assert_eq!(cut(1_000, Some("e")), (String::new(), None));
        for limit in [0, 1_001] {
            assert!(page(limit, None).cut(all(), Clone::clone).is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_too_large_or_too_slow_is_not_waited_for() {
        let sent = |body: Body, length: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(length) = length {
                headers.insert(header::CONTENT_LENGTH, length.parse().unwrap());
            }
            let time = Duration::from_secs(120);
            Sent {
                headers,
                body,
                time,
            }
        };
        let told = sent(Body::empty(), Some("11")).bytes(10).await.unwrap_err();
        assert_eq!(told.code, Code::TooLarge);
        let untold = sent(Body::from("12345678901"), None).bytes(10).await;
        assert_eq!(untold.unwrap_err().code, Code::TooLarge);
        let whole = sent(Body::from("1234567890"), None).bytes(10).await;
        assert_eq!(whole.unwrap(), "1234567890");
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let slow = sent(Body::from_stream(never), None).bytes(10).await;
        assert_eq!(slow.unwrap_err().code, Code::RequestTimeout);
    }
}
