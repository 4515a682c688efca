//! A worker becomes the user it should be and puts walls around itself, before it has
//! threads and before it opens anything.

use super::StartError;
use crate::config::{
    Address, Config, Confine, DATABASE_FILE, SecretSource, ServeConfig, TlsPaths, TokenSource,
};
use crate::confine::{self, Openings, Walls};
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Variables that name files or folders which libraries read: authorities to trust, and
/// what Postgres' clients want to know.
const VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PGPASSFILE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
];
/// What Postgres' clients read in the user's own folder.
const PASSWORDS: &str = ".pgpass";

/// Confines this process as the configuration wants it, and says how. Call it before there
/// are other threads. With `plane` it serves the control plane too.
///
/// # Errors
/// [`StartError::User`], [`StartError::NotTheirs`], [`StartError::Open`].
pub fn confine(config: &Config, plane: bool) -> Result<Walls, StartError> {
    match &config.worker.user {
        Some(user) => {
            confine::become_user(user)?;
            usable(&config.data, user)?;
        }
        None if confine::is_root() => tracing::warn!(
            "this worker runs as root; let it become another user: user = \"celeriac\" in [worker] of celeriac.toml, and chown -R celeriac {}",
            config.data.display()
        ),
        None => {}
    }
    if config.worker.confine == Confine::Off {
        tracing::warn!("no walls around this worker: worker.confine is \"off\"");
        return Ok(Walls::default());
    }
    let walls = confine::wall(&openings(config, plane));
    let complete = walls.missing().next().is_none();
    match (complete, config.worker.confine) {
        (true, _) => tracing::info!("walls around this worker: {walls}"),
        (false, Confine::Require) => return Err(StartError::Open { walls }),
        (false, Confine::Auto | Confine::Off) => {
            tracing::warn!("walls around this worker: {walls}");
        }
    }
    Ok(walls)
}

/// Checks that the data folder can be used by this process, which just became `user`.
fn usable(folder: &Path, user: &str) -> Result<(), StartError> {
    let refused = |path: &Path, source| StartError::NotTheirs {
        user: user.to_owned(),
        path: path.to_owned(),
        folder: folder.display().to_string(),
        source,
    };
    make(folder).map_err(|source| refused(folder, source))?;
    let probe = folder.join(format!(".user-{}", std::process::id()));
    let probed = OpenOptions::new().write(true).create_new(true).open(&probe);
    probed
        .and_then(|_| std::fs::remove_file(&probe))
        .map_err(|source| refused(folder, source))?;
    let database = folder.join(DATABASE_FILE);
    match OpenOptions::new().read(true).write(true).open(&database) {
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            Err(refused(&database, source))
        }
        // What else is wrong with it its opener tells.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes a folder where it is missing, for its owner only, as the opener of the database
/// would: a wall can only be left open where something is.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// What the control plane reads, and where it listens.
fn of_plane(config: &ServeConfig, openings: &mut Openings) {
    openings.listens.insert(config.listen.port());
    if !config.listen_is_chosen {
        // When it is taken, any free one will do.
        openings.listens.insert(0);
    }
    let files = config.tls.iter();
    let files = files.flat_map(|(certificate, key)| [certificate, key]);
    openings.reads.extend(files.flat_map(places));
    if let Some(url) = &config.database {
        openings.reads.extend(url.files());
    }
}

/// What a worker of this configuration reads, writes and listens at.
fn openings(config: &Config, plane: bool) -> Openings {
    let mut openings = Openings::default();
    if plane {
        of_plane(&config.serve, &mut openings);
    }
    own_folder(&config.data, &mut openings);
    let tenants = config.tenants.values();
    let theirs = tenants.flat_map(|tenant| [&tenant.broker, &tenant.result_backend]);
    for address in theirs.chain([&config.broker, &config.result_backend]) {
        of_address(address, &mut openings);
    }
    for name in VARIABLES {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(value) = value {
            let paths: Vec<PathBuf> = std::env::split_paths(&value).collect();
            openings.reads.extend(paths.iter().flat_map(places));
            openings.reads.extend(paths);
        }
    }
    openings
        .reads
        .extend(config.http.ca_file.iter().flat_map(places));
    let secrets = config.secrets.values();
    openings
        .reads
        .extend(secrets.filter_map(|secret| match secret {
            SecretSource::File(file) => Some(file.clone()),
            SecretSource::Env(_) => None,
        }));
    of_server(config, &mut openings);
    if let Some(home) = std::env::home_dir() {
        openings.reads.insert(home.join(PASSWORDS));
    }
    if let Some(listen) = config.worker.listen {
        openings.listens.insert(listen.port());
        if !config.worker.listen_is_chosen {
            // When it is taken, any free one will do.
            openings.listens.insert(0);
        }
    }
    openings
}

/// What is read to ask the control plane that is followed.
fn of_server(config: &Config, openings: &mut Openings) {
    let Some(server) = &config.server else {
        return;
    };
    let authorities = server.authorities.iter();
    openings.reads.extend(authorities.flat_map(places));
    if let TokenSource::File(file) = &server.token {
        openings.reads.insert(file.clone());
    }
}

fn of_address(address: &Address, openings: &mut Openings) {
    match address {
        Address::Embedded(folder) => own_folder(folder, openings),
        Address::Files(folder) => {
            openings.writes.insert(folder.clone());
        }
        Address::Database(file) => {
            // SQLite has other files beside it.
            openings.writes.extend(places(file));
        }
        Address::Postgres(url) => {
            openings.reads.extend(url.files().iter().flat_map(places));
        }
        Address::Redis(url) => certificates(&url.tls, openings),
        Address::Amqp(url) => certificates(&url.tls, openings),
        Address::Sentinel(_) | Address::Rpc | Address::Disabled => {}
    }
}

fn own_folder(folder: &Path, openings: &mut Openings) {
    // What is wrong with it its opener tells better.
    let _unusable = make(folder);
    openings.writes.insert(folder.to_owned());
}

fn certificates(tls: &TlsPaths, openings: &mut Openings) {
    let identity = tls.identity.iter().flat_map(|(own, key)| [own, key]);
    let files = tls.authorities.iter().chain(identity);
    openings.reads.extend(files.flat_map(places));
}

/// Returns the folder of a file, and that of the file it is a link to.
fn places(file: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    let file = file.as_ref();
    let target = file.canonicalize().ok();
    let target = target.map(|target| beside(&target));
    [beside(file)].into_iter().chain(target)
}

/// Returns the folder of a file: a file that is renewed is another one of the same name. The
/// root itself is never opened, then it is the file of this moment.
fn beside(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder == Path::new("") => PathBuf::from("."),
        Some(folder) if folder != Path::new("/") => folder.to_owned(),
        Some(_) | None => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn of(text: &str) -> Openings {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("celeriac.toml"), text).unwrap();
        openings(&Config::check(raw).unwrap().0, false)
    }

    #[test]
    fn what_the_configuration_names_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let text = |more: &str| format!("data = {data:?}\n{more}");
        let plain = of(&text(""));
        assert_eq!(plain.writes, [data.clone()].into());
        assert_eq!(plain.listens, [0, 9464].into());
        assert!(data.is_dir());

        let tls = "broker = \"rediss://h?ssl_ca_certs=/srv/tls/ca.pem&ssl_certfile=own.pem&ssl_keyfile=/k.pem\"\n\
            result_backend = \"db+sqlite:////srv/results/r.db\"\n[worker]\nlisten = \"127.0.0.1:9\"";
        let open = of(&text(tls));
        for read in ["/srv/tls", ".", "/k.pem"] {
            assert!(open.reads.contains(Path::new(read)), "{open:?}");
        }
        assert!(open.writes.contains(Path::new("/srv/results")), "{open:?}");
        assert_eq!(open.listens, [9].into());

        let postgres = "broker = \"amqps://h?cacertfile=/srv/mq/ca.pem\"\n\
            result_backend = \"db+postgresql://u@h/d?sslmode=verify-full&sslrootcert=/srv/my%20pg/root.pem\"\n\
            [worker]\nlisten = \"off\"";
        let open = of(&text(postgres));
        for read in ["/srv/mq", "/srv/my pg"] {
            assert!(open.reads.contains(Path::new(read)), "{open:?}");
        }
        assert!(open.listens.is_empty());

        let files = of(&text("result_backend = \"file:///srv/files\""));
        assert!(files.writes.contains(Path::new("/srv/files")), "{files:?}");
    }
}
