//! The seal of an artifact: a keyed MAC over native code.
//!
//! Loading an artifact runs it. So only bytes that this installation compiled
//! are loaded: the MAC's key never leaves `DIR/key`, it covers the digest and
//! the engine the code was made for, and it is verified over the very bytes in
//! memory that are loaded.

use super::digest::Digest;
use crate::defence::{Defence, stands};
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Name of the key's file.
const KEY_FILE: &str = "key";
/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Separates this use of the key from every other one.
const PURPOSE: &str = "celeriac 0.1 artifact seal";
/// Bytes of a seal, which stands before the native code.
pub(super) const SEAL_BYTES: u64 = blake3::OUT_LEN as u64;

/// Seals artifacts, and tells whether a seal is ours.
#[derive(Clone)]
pub(super) struct Sealer {
    key: [u8; KEY_BYTES],
    compatibility: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("key", &"…")
            .field("compatibility", &self.compatibility)
            .finish()
    }
}

impl Sealer {
    /// Takes the key of `dir`, making it (mode 0600) when there is none.
    ///
    /// Several processes may do so at once: one key wins, all take that one.
    pub(super) fn open(dir: &Path, compatibility: &str) -> io::Result<Self> {
        let path = dir.join(KEY_FILE);
        if !path.try_exists()? {
            create_key(dir, &path)?;
        }
        let mut secret = Vec::with_capacity(KEY_BYTES);
        let file = File::open(&path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others could read the key of the artifacts; its mode is 0600 now");
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut secret)?;
        if secret.len() != KEY_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the key does not have {KEY_BYTES} bytes; remove the file, and the modules are compiled again"
                ),
            ));
        }
        Ok(Self {
            key: blake3::derive_key(PURPOSE, &secret),
            compatibility: compatibility.to_owned(),
        })
    }

    /// Returns the seal that goes before the native code of a component.
    pub(super) fn seal(&self, digest: Digest, code: &[u8]) -> [u8; blake3::OUT_LEN] {
        *self.mac(digest, code).as_bytes()
    }

    /// Returns the native code of a sealed artifact; `None` when the seal is
    /// not ours, or for another component or engine.
    pub(super) fn open_sealed<'a>(&self, digest: Digest, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (seal, code) = sealed.split_first_chunk::<{ blake3::OUT_LEN }>()?;
        // blake3 compares hashes in constant time.
        let is_ours = self.mac(digest, code) == blake3::Hash::from_bytes(*seal);
        (is_ours || !stands(Defence::Seal)).then_some(code)
    }

    fn mac(&self, digest: Digest, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(digest.as_bytes());
        // The only part of unknown length before the last one says its length.
        hasher.update(&(self.compatibility.len() as u64).to_le_bytes());
        hasher.update(self.compatibility.as_bytes());
        hasher.update(code);
        hasher.finalize()
    }
}

/// Writes a new key aside and links it into place, unless another process was
/// first.
fn create_key(dir: &Path, path: &Path) -> io::Result<()> {
    let mut secret = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let aside = dir.join(format!(".key-{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    let linked = file
        .write_all(&secret)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    removed?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Sealer::open(dir.path(), "e").unwrap();
        let second = Sealer::open(dir.path(), "e").unwrap();
        assert_eq!(first.key, second.key);
        let key = dir.path().join(KEY_FILE);
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        Sealer::open(dir.path(), "e").unwrap();
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn many_who_start_at_once_share_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let open = || Sealer::open(dir.path(), "e").unwrap().key;
            let all: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_key_of_another_size_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 31, 33] {
            fs::write(dir.path().join(KEY_FILE), vec![1; size]).unwrap();
            let error = Sealer::open(dir.path(), "e").unwrap_err();
            assert!(error.to_string().contains("remove the file"), "{error}");
        }
    }

    #[test]
    fn only_the_same_code_component_engine_and_key_open_a_seal() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(dir.path(), "engine 1").unwrap();
        let digest = Digest::of(b"wasm");
        let mut sealed = sealer.seal(digest, b"code").to_vec();
        sealed.extend_from_slice(b"code");
        assert_eq!(
            sealer.open_sealed(digest, &sealed),
            Some(b"code".as_slice())
        );

        assert_eq!(sealer.open_sealed(Digest::of(b"other"), &sealed), None);
        let upgraded = Sealer::open(dir.path(), "engine 2").unwrap();
        assert_eq!(upgraded.open_sealed(digest, &sealed), None);
        let elsewhere = tempfile::tempdir().unwrap();
        let stranger = Sealer::open(elsewhere.path(), "engine 1").unwrap();
        assert_eq!(stranger.open_sealed(digest, &sealed), None);
        for length in 0..sealed.len() {
            assert_eq!(
                sealer.open_sealed(digest, &sealed[..length]),
                None,
                "cut at {length}"
            );
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(
                sealer.open_sealed(digest, &changed),
                None,
                "changed at {index}"
            );
        }
    }
}
