//! A connection to a host: its name is looked up once, every address that is not
//! for guests is dropped, and what is left is what is connected to.

use super::Egress;
use super::address::{canonical, special};
use super::policy::{Host, Target};
use super::session::Session;
use super::tls;
use super::wire::Wire;
use crate::defence::{Defence, stands};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

/// Addresses of one name that are tried (4), one after the other.
const TRIES: usize = 4;
/// What an address of the worker's broker or results is.
const OWN: &str = "one of the worker's own servers', a special";
/// What an address of this machine is.
const HERE: &str = "this machine's own, a special";

/// A connection, with TLS or without.
pub(super) enum Connection {
    Plain(Wire),
    Secure(Box<TlsStream<Wire>>),
}

/// Connects to a target within the time that a connection may take.
pub(super) async fn connect(
    session: &Arc<Session>,
    target: &Target,
    limit: Duration,
) -> Result<Connection, Error> {
    let connecting = async {
        let wire = Wire::new(open(session, target).await?, Arc::clone(session));
        if target.is_secure {
            let secure = secure(session, target, wire).await?;
            return Ok(Connection::Secure(Box::new(secure)));
        }
        Ok(Connection::Plain(wire))
    };
    let limit = match stands(Defence::ConnectTime) {
        true => session.within(limit.min(session.limits().connect)),
        false => session.within(Duration::MAX),
    };
    match tokio::time::timeout(limit, connecting).await {
        Ok(connection) => connection,
        Err(_) => Err(Error::ConnectionTimeout),
    }
}

async fn open(session: &Session, target: &Target) -> Result<TcpStream, Error> {
    let addresses = judged(session, target).await?;
    #[cfg(test)]
    let addresses = super::tests::pinned(session, target, addresses).await;
    let mut last = Error::DestinationNotFound;
    for address in addresses.into_iter().take(TRIES) {
        let stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) => {
                last = unreached(&error);
                continue;
            }
        };
        // Whatever listens on this machine is not of the public internet, though it
        // may be reached at an address that is.
        let is_here = stream
            .local_addr()
            .is_ok_and(|own| own.ip() == address.ip());
        if is_here && !session.is_granted(address.ip(), false) && stands(Defence::Here) {
            return Err(session.deny_address(target, address.ip(), HERE));
        }
        return Ok(stream);
    }
    Err(last)
}

/// Returns the addresses of a target that may be connected to.
async fn judged(session: &Session, target: &Target) -> Result<Vec<SocketAddr>, Error> {
    if matches!(target.host, Host::Name(_)) && session.asker.is_busy() {
        session.tell_of_lookups();
    }
    let resolver = &session.egress.0.resolver;
    let found = resolver.addresses(&target.host, Some(&session.asker)).await;
    let found = found.map_err(|error| {
        session.tell(&format!("no address of {}: {error}", target.host));
        Error::DnsError {
            rcode: None,
            info_code: None,
        }
    })?;
    let own = own(&session.egress, target.port).await;
    let (mut good, mut denied) = (Vec::new(), None);
    for ip in found {
        match refusal(session, ip, own.as_deref()) {
            None => good.push(SocketAddr::new(ip, target.port)),
            Some(what) => denied = denied.or(Some((ip, what))),
        }
    }
    match denied {
        Some((ip, what)) if good.is_empty() => Err(session.deny_address(target, ip, what)),
        _ => Ok(good),
    }
}

/// Says what an address is that this attempt may not connect to. `own` are the addresses
/// of the worker's own servers at the port; without them, any may be one.
fn refusal(session: &Session, ip: IpAddr, own: Option<&[IpAddr]>) -> Option<&'static str> {
    let is_own = own.is_none_or(|own| own.contains(&canonical(ip)));
    if is_own && stands(Defence::Own) {
        return (!session.is_granted(ip, true)).then_some(OWN);
    }
    special(ip).filter(|_| !session.is_granted(ip, false) && stands(Defence::Addresses))
}

/// Returns the addresses of the worker's own servers at a port; `None` where one of them
/// cannot be looked up now: any address may be the one the worker is connected to.
async fn own(egress: &Egress, port: u16) -> Option<Vec<IpAddr>> {
    let mut all = Vec::new();
    let own = egress.0.settings.own.iter();
    for (host, _) in own.filter(|(_, own_port)| *own_port == port) {
        let host = match host.parse() {
            Ok(ip) => Host::Address(ip),
            Err(_) => Host::Name(host.clone()),
        };
        let found = egress.0.resolver.addresses(&host, None).await.ok()?;
        all.extend(found.into_iter().map(canonical));
    }
    Some(all)
}

async fn secure(
    session: &Arc<Session>,
    target: &Target,
    wire: Wire,
) -> Result<TlsStream<Wire>, Error> {
    let egress = session.egress.clone();
    // The first time it reads files.
    let config = tokio::task::spawn_blocking(move || egress.0.trust.config()).await;
    let Ok(Ok(config)) = config else {
        session.tell("TLS is not set up on this machine");
        return Err(Error::ConfigurationError);
    };
    let name = tls::server_name(&target.host).ok_or(Error::HttpRequestUriInvalid)?;
    let secured = TlsConnector::from(config).connect(name, wire).await;
    secured.map_err(|error| {
        session.tell(&format!("no TLS with {target}: {error}"));
        untrusted(&error)
    })
}

fn unreached(error: &io::Error) -> Error {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        return Error::ConnectionRefused;
    }
    if kind == io::ErrorKind::TimedOut {
        return Error::ConnectionTimeout;
    }
    Error::DestinationUnavailable
}

fn untrusted(error: &io::Error) -> Error {
    let inner = error.get_ref();
    let inner = inner.and_then(|error| error.downcast_ref::<rustls::Error>());
    if matches!(inner, Some(rustls::Error::InvalidCertificate(_))) {
        return Error::TlsCertificateError;
    }
    Error::TlsProtocolError
}
