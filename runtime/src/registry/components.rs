//! Components by digest: loaded once, compiled when nothing loads.
//!
//! Whoever asks for a component gets the one that is loaded already, else the
//! sealed artifact's, else it is compiled. Several who ask for the same one at
//! once wait for one.

use super::compile::{CompileError, Compiler};
use super::digest::Digest;
use super::error::{Cause, Refused, RegistryError};
use super::files::Files;
use super::rows;
use super::seal::Sealer;
use super::store::Store;
use super::turn;
use crate::defence::{Defence, stands};
use crate::task::TenantName;
use bytes::Bytes;
use celeriac_sandbox::{Component, Engine, SandboxError, UPLOAD_BYTES};
use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A component that is loaded, and what it weighs.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) component: Component,
    /// Bytes of its native code.
    pub(super) bytes: u64,
    /// How long its compilation took, when that had to be.
    pub(super) compiled: Option<Duration>,
}

/// All components of this process.
#[derive(Debug)]
pub(super) struct Components {
    engine: Engine,
    files: Files,
    sealer: Sealer,
    compiler: Compiler,
    compatibility: String,
    store: Store,
    dir: PathBuf,
    shelf: Mutex<HashMap<Digest, Arc<Place>>>,
    /// What tenants upload that they did not have, while it is compiled for them.
    uploads: Mutex<HashMap<(TenantName, Digest), Arc<Place>>>,
}

/// On whose behalf a component is asked for: a tenant, and what a refusal calls it.
pub(super) type Subject<'a> = (&'a TenantName, &'a str);

/// Where one component is, while somebody has it or asks for it.
#[derive(Debug, Default)]
struct Place {
    held: Mutex<Weak<Held>>,
    /// Held by the one who loads.
    turn: tokio::sync::Mutex<()>,
}

impl Components {
    /// Opens the folders and the key below `dir`. It blocks.
    pub(super) fn open(
        store: Store,
        dir: &Path,
        engine: Engine,
        compiler: Compiler,
    ) -> Result<Self, RegistryError> {
        let compatibility = celeriac_sandbox::compatibility();
        let storage = |source| RegistryError::Storage {
            path: dir.to_owned(),
            source,
        };
        Ok(Self {
            files: Files::open(dir, store.clock().clone(), &compatibility).map_err(storage)?,
            sealer: Sealer::open(dir, &compatibility).map_err(storage)?,
            engine,
            compiler,
            compatibility,
            store,
            dir: dir.to_owned(),
            shelf: Mutex::default(),
            uploads: Mutex::default(),
        })
    }

    /// Returns the file of a component, where it is one.
    pub(super) fn file(&self, digest: Digest) -> Option<PathBuf> {
        match self.store.bucket() {
            Some(_) => None,
            None => Some(self.files.component_path(digest)),
        }
    }

    /// Returns the files.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Runs work on files where it may block. `None` when the runtime ends.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let files = self.files.clone();
        let done = tokio::task::spawn_blocking(move || work(&files)).await;
        done.map_err(io::Error::other)
            .and_then(|result| result)
            .map_err(|source| RegistryError::Storage {
                path: self.dir.clone(),
                source,
            })
    }

    /// Returns a component, loading or compiling it when it must be.
    pub(super) async fn get(
        &self,
        digest: Digest,
        subject: Subject<'_>,
    ) -> Result<Arc<Held>, RegistryError> {
        let place = self.place(digest);
        if let Some(held) = place.held() {
            return Ok(held);
        }
        let _turn = place.turn.lock().await;
        if let Some(held) = place.held() {
            return Ok(held);
        }
        let held = Arc::new(self.obtain(digest, subject).await?);
        *unpoisoned(&place.held) = Arc::downgrade(&held);
        Ok(held)
    }

    /// Returns a component that a tenant does not have yet, compiled for it alone: whether
    /// others have it, and what became of their pushes, makes no difference. Several pushes
    /// of one tenant wait for one.
    pub(super) async fn compile_anew(
        &self,
        digest: Digest,
        subject: Subject<'_>,
    ) -> Result<Arc<Held>, RegistryError> {
        let tenant = subject.0;
        let upload = place(&self.uploads, (tenant.clone(), digest));
        let _turn = upload.turn.lock().await;
        if let Some(held) = upload.held() {
            return Ok(held);
        }
        // Who had the turn before may have ended its push.
        let known = rows::component(&self.store, tenant, digest).await?;
        if known.is_some() {
            return self.get(digest, subject).await;
        }
        let _alone = turn::take(&self.dir).await;
        let held = Arc::new(self.compile(digest, subject).await?);
        *unpoisoned(&upload.held) = Arc::downgrade(&held);
        let shared = self.place(digest);
        if shared.held().is_none() {
            *unpoisoned(&shared.held) = Arc::downgrade(&held);
        }
        Ok(held)
    }

    /// Tells whether a component is loaded or its artifact is there.
    pub(super) fn is_compiled(&self, digest: Digest) -> bool {
        self.place(digest).held().is_some() || self.files.artifact_path(digest).exists()
    }

    fn place(&self, digest: Digest) -> Arc<Place> {
        place(&self.shelf, digest)
    }

    async fn obtain(&self, digest: Digest, subject: Subject<'_>) -> Result<Held, RegistryError> {
        if let Some(held) = self.stored(digest).await? {
            return Ok(held);
        }
        let turn = turn::take(&self.dir).await;
        // Who had the turn before may have compiled this very component.
        if turn.is_some()
            && let Some(held) = self.stored(digest).await?
        {
            return Ok(held);
        }
        self.compile(digest, subject).await
    }

    /// Loads the artifact that is stored, if it is fit to be loaded.
    async fn stored(&self, digest: Digest) -> Result<Option<Held>, RegistryError> {
        if let Some(sealed) = self.blocking(move |files| files.artifact(digest)).await? {
            match self.load(digest, sealed).await {
                Ok(Some(held)) => return Ok(Some(held)),
                Ok(None) => {
                    tracing::warn!(
                        component.digest = %digest,
                        "the compiled artifact was changed by somebody, it is not loaded; compiling again"
                    );
                }
                Err(RegistryError::Sandbox(SandboxError::Incompatible { reason })) => {
                    tracing::warn!(
                        component.digest = %digest, reason,
                        "the compiled artifact does not fit this engine; compiling again"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Loads a sealed artifact from this very memory; `None` when the seal is
    /// not ours.
    async fn load(&self, digest: Digest, sealed: Vec<u8>) -> Result<Option<Held>, RegistryError> {
        let (engine, sealer) = (self.engine.clone(), self.sealer.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            let code = sealer.open_sealed(digest, &sealed)?;
            let bytes = code.len() as u64;
            Some(engine.load(code).map(|component| Held {
                component,
                bytes,
                compiled: None,
            }))
        });
        let loaded = loaded
            .await
            .map_err(|error| self.storage(io::Error::other(error)))?;
        Ok(loaded.transpose()?)
    }

    async fn compile(
        &self,
        digest: Digest,
        (tenant, subject): Subject<'_>,
    ) -> Result<Held, RegistryError> {
        let refused = |reason, remembered| {
            let cause = Cause::Uncompilable { reason, remembered };
            RegistryError::Refused(Box::new(Refused {
                subject: subject.to_owned(),
                cause,
            }))
        };
        let now = self.store.clock().now_ms();
        let key = (tenant, digest, self.compatibility.as_str());
        if let Some(known) = rows::refusal(&self.store, key, now).await?
            && stands(Defence::Remembering)
        {
            return Err(refused(known.reason, Some(known.ago)));
        }
        let component = self.component(digest).await?;
        let begun = std::time::Instant::now();
        let code = match self.compiler.compile(component).await {
            Ok(code) => code,
            Err(CompileError::Refused { reason }) => {
                let refuse = rows::Refuse {
                    tenant: tenant.clone(),
                    digest,
                    compatibility: self.compatibility.clone(),
                    reason: reason.clone(),
                    now_ms: self.store.clock().now_ms(),
                };
                self.store.write(refuse).await?;
                return Err(refused(reason, None));
            }
            Err(CompileError::Slow { wall }) => return Err(RegistryError::CompilerSlow { wall }),
            Err(CompileError::NotRun { program, source }) => {
                return Err(RegistryError::CompilerMissing { program, source });
            }
        };
        let took = begun.elapsed();
        let sealed = self.store(digest, code).await?;
        let loaded = self.load(digest, sealed).await?;
        let held = loaded.ok_or(RegistryError::Damaged { digest })?;
        Ok(Held {
            compiled: Some(took),
            ..held
        })
    }

    /// Stores a component's bytes, `anew` even where they are there already.
    pub(super) async fn put(
        &self,
        digest: Digest,
        bytes: Bytes,
        anew: bool,
    ) -> Result<(), RegistryError> {
        if let Some(bucket) = self.store.bucket() {
            return Ok(Box::pin(bucket.put(digest, bytes)).await?);
        }
        self.blocking(move |files| files.put_component(digest, &bytes, anew))
            .await
    }

    /// Reads a component's bytes, which must be those its digest names.
    pub(super) async fn component(&self, digest: Digest) -> Result<Bytes, RegistryError> {
        let found = self.found(digest).await?;
        found.ok_or(RegistryError::Damaged { digest })
    }

    /// Reads a component's bytes, if they are there and those its digest names.
    pub(super) async fn found(&self, digest: Digest) -> Result<Option<Bytes>, RegistryError> {
        if let Some(bucket) = self.store.bucket() {
            return Ok(Box::pin(bucket.get(digest, UPLOAD_BYTES)).await?);
        }
        let read = move |files: &Files| {
            let bytes = files.component(digest, UPLOAD_BYTES)?;
            Ok(bytes.filter(|bytes| Digest::of(bytes) == digest))
        };
        Ok(self.blocking(read).await?.map(Bytes::from))
    }

    /// Seals and stores native code, and returns it with its seal.
    async fn store(&self, digest: Digest, code: Vec<u8>) -> Result<Vec<u8>, RegistryError> {
        let sealer = self.sealer.clone();
        self.blocking(move |files| {
            let mut sealed = sealer.seal(digest, &code).to_vec();
            sealed.extend_from_slice(&code);
            drop(code);
            files.put_artifact(digest, &sealed)?;
            Ok(sealed)
        })
        .await
    }

    fn storage(&self, source: io::Error) -> RegistryError {
        RegistryError::Storage {
            path: self.dir.clone(),
            source,
        }
    }
}

impl Place {
    fn held(&self) -> Option<Arc<Held>> {
        unpoisoned(&self.held).upgrade()
    }
}

fn place<K: Eq + Hash>(shelf: &Mutex<HashMap<K, Arc<Place>>>, key: K) -> Arc<Place> {
    let mut shelf = unpoisoned(shelf);
    // What nobody has or asks for any more leaves no entry behind.
    shelf.retain(|_, place| Arc::strong_count(place) > 1 || place.held().is_some());
    shelf.entry(key).or_default().clone()
}

/// Takes a lock whose data no panic can leave half changed.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
