//! Components in a store that several machines share: any that speaks S3.
//!
//! An object is named by its digest and never changes; what comes back is believed only when
//! it has that digest. A bucket's prefix belongs to one installation: whatever its rows do
//! not name is garbage there.

use super::digest::Digest;
use super::files::{Found, Kind};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
};
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a connection (5 s).
const CONNECT: Duration = Duration::from_secs(5);
/// Longest request (60 s): 32 MiB over a slow line.
const REQUEST: Duration = Duration::from_secs(60);
/// Tries of a request beside the first (2), within 10 s: whoever asked tries again later.
const RETRIES: usize = 2;
const RETRY_TIME: Duration = Duration::from_secs(10);
/// Longest removal of one object (4 s), as other changes wait for it.
const REMOVAL: Duration = Duration::from_secs(4);
/// Most objects that one collection removes (10,000); the next goes on.
const COLLECTED: usize = 10_000;

/// Trouble with a bucket, by what to do next.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// Fail the start: a person must act.
    #[error("{place}: {reason}")]
    Misconfigured {
        /// The bucket.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Back off and try again.
    #[error("{place} cannot be reached: {reason}; look at its endpoint and the network")]
    Unavailable {
        /// The bucket.
        place: String,
        /// What happened.
        reason: String,
    },
}

/// Who asks. Its secret is shown to nobody.
#[derive(Clone)]
pub struct Keys {
    /// The name of the key.
    pub id: String,
    /// The key.
    pub secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Keys");
        shown.field("id", &self.id).finish_non_exhaustive()
    }
}

/// A bucket, or a part of one. A cheap handle.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    prefix: String,
    place: String,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is within it knows the keys.
        f.debug_tuple("Bucket").field(&self.place).finish()
    }
}

impl Bucket {
    /// Prepares requests to `s3://BUCKET[/PREFIX][?region=REGION&endpoint=URL]`; nothing is
    /// asked yet. Call it within a runtime.
    ///
    /// # Errors
    /// [`BucketError::Misconfigured`] when the address is none, or no keys are there.
    pub fn new(url: &str, keys: Option<Keys>) -> Result<Self, BucketError> {
        let place: String = url.split('?').next().unwrap_or(url).to_owned();
        let wrong = |reason: String| BucketError::Misconfigured {
            place: place.clone(),
            reason,
        };
        let rest = url
            .strip_prefix("s3://")
            .ok_or_else(|| wrong(SHAPE.to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() || prefix.split('/').any(|part| part == "..") {
            return Err(wrong(SHAPE.to_owned()));
        }
        let no_keys = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        let keys = keys.ok_or_else(|| wrong(no_keys.to_owned()))?;
        // Another part of the process may have chosen the same one before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_access_key_id(keys.id)
            .with_secret_access_key(keys.secret)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_TIME,
                ..RetryConfig::default()
            });
        let mut options = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("region", region)) => builder = builder.with_region(region),
                Some(("endpoint", endpoint)) => {
                    // Requests are signed, not secret: components travel readable.
                    options = options.with_allow_http(endpoint.starts_with("http://"));
                    builder = builder.with_endpoint(endpoint);
                }
                Some(_) | None => {
                    return Err(wrong(format!("{pair:?} is not known; {SHAPE}")));
                }
            }
        }
        let store = builder.with_client_options(options).build();
        let store = store.map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            store: Arc::new(store),
            prefix: prefix.to_owned(),
            place,
        })
    }

    /// Asks whether the bucket is there and may be read.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn greet(&self) -> Result<(), BucketError> {
        match self.list().next().await {
            Some(Err(error)) => Err(self.error(&error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Stores a component, also over one that is there: it counts as new again then, so that
    /// no collection takes it from a push, and how long it takes tells nobody whether it was.
    pub(super) async fn put(&self, digest: Digest, bytes: Bytes) -> Result<(), BucketError> {
        let put = self.store.put(&self.path(digest), bytes.into()).await;
        put.map(drop).map_err(|error| self.error(&error))
    }

    /// Reads a component of at most `most` bytes, if it is there and has its digest.
    pub(super) async fn get(
        &self,
        digest: Digest,
        most: u64,
    ) -> Result<Option<Bytes>, BucketError> {
        let found = match self.store.get(&self.path(digest)).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.error(&error)),
        };
        let mut parts = found.into_stream();
        let mut bytes = BytesMut::new();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| self.error(&error))?;
            // Whatever the store said of its size before.
            if (bytes.len() as u64).saturating_add(part.len() as u64) > most {
                return Ok(None);
            }
            bytes.extend_from_slice(&part);
        }
        let bytes = bytes.freeze();
        Ok((Digest::of(&bytes) == digest).then_some(bytes))
    }

    /// Lists components that were stored before a moment and are not named, 10,000 at most.
    pub(super) async fn old(
        &self,
        before: Timestamp,
        named: &HashSet<Digest>,
    ) -> Result<Vec<Found>, BucketError> {
        let mut old = Vec::new();
        let mut all = self.list();
        while let Some(object) = all.next().await {
            let object = object.map_err(|error| self.error(&error))?;
            let Some(found) = found(&object) else {
                continue;
            };
            let is_named = matches!(found.kind, Kind::Component(digest) if named.contains(&digest));
            if found.modified <= before && !is_named {
                old.push(found);
            }
            if old.len() >= COLLECTED {
                break;
            }
        }
        Ok(old)
    }

    /// Removes an object that was not stored again since it was found, and tells whether it
    /// did; the next collection tries again what this one could not.
    pub(super) async fn remove(&self, found: &Found) -> bool {
        let Kind::Component(digest) = found.kind else {
            return false;
        };
        let path = self.path(digest);
        let removal = async {
            let now = self.store.head(&path).await?;
            if moment(&now) != Some(found.modified) {
                return Ok(false);
            }
            self.store.delete(&path).await.map(|()| true)
        };
        match tokio::time::timeout(REMOVAL, removal).await {
            Ok(Ok(removed)) => removed,
            Ok(Err(error)) => {
                tracing::warn!(%path, %error, "a component that nothing needs cannot be removed");
                false
            }
            Err(_) => {
                tracing::warn!(%path, "a component that nothing needs was not removed in time");
                // It may be gone: pushes that stored it meanwhile store it again.
                true
            }
        }
    }

    fn list(&self) -> futures::stream::BoxStream<'static, Result<ObjectMeta, Error>> {
        let prefix = Path::from(self.prefix.as_str());
        let prefix = (!self.prefix.is_empty()).then_some(&prefix);
        self.store.list(prefix)
    }

    fn path(&self, digest: Digest) -> Path {
        let name = format!("{}.wasm", digest.hex());
        match self.prefix.as_str() {
            "" => Path::from(name),
            prefix => Path::from(format!("{prefix}/{name}")),
        }
    }

    fn error(&self, error: &Error) -> BucketError {
        let place = self.place.clone();
        let misconfigured = |reason: &str| BucketError::Misconfigured {
            place: place.clone(),
            reason: reason.to_owned(),
        };
        // Lists of what is not there have no kind of their own, but the code of S3's errors.
        if matches!(error, Error::NotFound { .. }) || error.to_string().contains("NoSuchBucket") {
            return misconfigured("there is no such bucket; make it, or name another");
        }
        let is_refused = matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        );
        if is_refused {
            return misconfigured(
                "the store refuses these keys; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and at what they may do: list, read, write and remove",
            );
        }
        // Bodies of errors are the store's: a line of them is enough.
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or_default();
        BucketError::Unavailable {
            place,
            reason: reason.chars().take(300).collect(),
        }
    }
}

/// What an address looks like.
const SHAPE: &str =
    "components are kept in s3://BUCKET[/PREFIX][?region=REGION&endpoint=https://HOST]";

/// What an object is, where it is one of ours.
fn found(object: &ObjectMeta) -> Option<Found> {
    let name = object.location.filename()?;
    let digest = name.strip_suffix(".wasm")?.parse().ok()?;
    Some(Found {
        path: PathBuf::from(object.location.as_ref()),
        kind: Kind::Component(digest),
        modified: moment(object)?,
        bytes: object.size,
    })
}

fn moment(object: &ObjectMeta) -> Option<Timestamp> {
    Timestamp::from_millisecond(object.last_modified.timestamp_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Option<Keys> {
        Some(Keys {
            id: "AKIA".to_owned(),
            secret: "hush".to_owned(),
        })
    }

    #[tokio::test]
    async fn an_address_of_another_shape_is_refused_with_what_is_right() {
        for bad in [
            "http://bucket",
            "s3://",
            "s3:///components",
            "s3://bucket/../other",
            "s3://bucket?zone=1",
            "s3://bucket?region",
        ] {
            let said = Bucket::new(bad, keys()).unwrap_err().to_string();
            assert!(said.contains("s3://BUCKET"), "{bad}: {said}");
        }
        let said = Bucket::new("s3://bucket", None).unwrap_err().to_string();
        assert!(said.contains("AWS_ACCESS_KEY_ID"), "{said}");
        for good in [
            "s3://bucket",
            "s3://bucket/some/prefix/?region=eu-west-1",
            "s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1",
        ] {
            let bucket = Bucket::new(good, keys()).unwrap();
            let shown = format!("{bucket:?} {:?}", keys());
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
}
