//! The control plane beside a worker, for development: one process has both, over one
//! registry, and a token lies in the data folder for whoever owns it.

use super::serve::Edge;
use super::{App, StartError};
use crate::platform::{Actor, Platform, TokenTerms};
use crate::registry::Registry;
use crate::shutdown::Shutdown;
use crate::task::Scope;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// The file of the token, readable by its owner only.
const TOKEN: &str = "operator-token";
/// Longest content of it that is read (1 KiB).
const TOKEN_BYTES: u64 = 1 << 10;

/// A control plane that is served beside a worker.
#[derive(Debug)]
pub struct Beside {
    /// The address.
    pub listen: SocketAddr,
    /// The file of a token that may do everything.
    pub token_file: PathBuf,
}

impl App {
    /// Has [`App::work`] serve the control plane too.
    #[must_use]
    pub fn with_plane(mut self) -> Self {
        self.plane = true;
        self
    }

    /// Serves the control plane beside a worker, where there is to be one.
    pub(super) async fn beside(
        &self,
        registry: &Registry,
        shutdown: &Shutdown,
        served: &mut JoinSet<()>,
    ) -> Result<Option<Beside>, StartError> {
        if !self.plane {
            return Ok(None);
        }
        let edge = Edge::open(&self.config.serve).await?;
        let plane = self.plane(registry.clone(), shutdown).await?;
        let token_file = self.token(&plane.platform).await?;
        let beside = Beside {
            listen: edge.listen,
            token_file,
        };
        served.spawn(edge.run(plane, shutdown.clone()));
        Ok(Some(beside))
    }

    /// Returns the file of an operator's token; makes both where there is none that holds.
    async fn token(&self, platform: &Platform) -> Result<PathBuf, StartError> {
        let path = self.config.data.join(TOKEN);
        let failed = |source| StartError::Token {
            path: path.clone(),
            source,
        };
        let known = read(&path).map_err(failed)?;
        if let Ok(identity) = platform.authenticate(known.trim()).await
            && identity.scope == Scope::Operator
        {
            return Ok(path);
        }
        let terms = TokenTerms {
            name: TOKEN.to_owned(),
            scope: Scope::Operator,
            tenant: None,
            expires_at: None,
        };
        let me = Actor::on_the_machine();
        let made = platform.create_token(&me, terms).await?;
        write(&path, made.text.expose()).map_err(failed)?;
        Ok(path)
    }
}

/// Reads the token; empty where there is none.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(TOKEN_BYTES).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(text)
}

/// Writes the token aside and renames it: nobody reads half of one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension(std::process::id().to_string());
    // What is left of a process with this number that died here.
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&aside)?;
    writeln!(file, "{text}")?;
    std::fs::rename(&aside, path)
}
