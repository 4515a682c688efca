//! Requests over real connections to servers of the tests, which stand on this
//! machine: its addresses are granted where they are meant to be reached.

mod bounds;
mod denied;
mod granted;
mod lookups;
mod needed;
mod times;

use super::policy::Target;
use super::{Egress, EgressLimits, EgressSettings, HttpGrant, Resolver, Session, Trust};
use crate::defence::{Defence, stands, without};
use crate::grants::{Injection, Secret};
use crate::limits::Limits;
use crate::log::{Level, LogBook};
use crate::uses::Use;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Names of the tests: each has its answers, one for each lookup; the last stays.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    lookups: Arc<AtomicUsize>,
    /// Whether names that begin with `slow` have an answer by now.
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Table {
    pub(super) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        if name.starts_with("slow") {
            let is_open = self.is_open.lock().unwrap();
            drop(
                self.opened
                    .wait_while(is_open, |is_open| !*is_open)
                    .unwrap(),
            );
        }
        let mut names = self.names.lock().unwrap();
        let Some(answers) = names.get_mut(name) else {
            return Vec::new();
        };
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        }
    }

    /// Lets slow names have their answers.
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// An attempt in the making.
struct Setup {
    settings: EgressSettings,
    grant: HttpGrant,
    table: Table,
    wall: Duration,
    earlier: Use,
    inject: Vec<Injection>,
}

/// An attempt whose guest may reach `hosts`.
fn may(hosts: &[&str]) -> Setup {
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    Setup {
        settings: EgressSettings::default(),
        grant: HttpGrant {
            hosts,
            private: Vec::new(),
        },
        table: Table::default(),
        wall: Duration::from_secs(60),
        earlier: Use::default(),
        inject: Vec::new(),
    }
}

impl Setup {
    fn private(mut self, networks: &[&str]) -> Self {
        self.grant.private = networks.iter().map(|text| text.parse().unwrap()).collect();
        self
    }

    fn name(self, name: &str, answers: &[&[&str]]) -> Self {
        let answer = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().map(answer).collect();
        self.table
            .names
            .lock()
            .unwrap()
            .insert(name.to_owned(), answers);
        self
    }

    fn limits(mut self, change: impl FnOnce(&mut EgressLimits)) -> Self {
        change(&mut self.settings.limits);
        self
    }

    fn open(mut self) -> Guest {
        let (settings, table) = (self.settings.clone(), std::mem::take(&mut self.table));
        let lookups = Arc::clone(&table.lookups);
        let resolver = Resolver::table(Arc::new(table));
        let egress = Egress::over(settings, resolver, Trust::default());
        self.join(&egress, "web", lookups)
    }

    /// Opens an attempt of a module beside others.
    fn join(self, egress: &Egress, module: &str, lookups: Arc<AtomicUsize>) -> Guest {
        let log = LogBook::new(&Limits::default(), Level::Debug);
        let deadline = Instant::now() + self.wall;
        let place = format!("[grants.{module:?}]");
        let session = Session::new(egress.clone(), self.grant, place, log.clone(), deadline);
        let session = session.after(self.earlier).with_headers(self.inject);
        Guest {
            session: Arc::new(session),
            log,
            lookups,
        }
    }
}

/// Stands in for a guest.
struct Guest {
    session: Arc<Session>,
    log: LogBook,
    lookups: Arc<AtomicUsize>,
}

/// An answer: its status, and its body or how that ended.
type Got = (u16, Result<Bytes, Error>);

impl Guest {
    async fn get(&self, url: &str) -> Result<Got, Error> {
        self.send(get(url), RequestOptions::default()).await
    }

    async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Got, Error> {
        let (answer, rest) = self.session.send(request, Some(options)).await?;
        let status = answer.status().as_u16();
        let (body, rest) = tokio::join!(answer.into_body().collect(), Box::into_pin(rest));
        rest.unwrap();
        Ok((status, body.map(|body| body.to_bytes())))
    }

    /// Returns the log as one text.
    fn said(&self) -> String {
        let lines = self.log.finish().lines.into_iter();
        lines.map(|line| line.message + "\n").collect()
    }
}

fn get(url: &str) -> Request<WasiBody> {
    let empty = Empty::<Bytes>::new().map_err(|never| match never {});
    Request::get(url).body(empty.boxed_unsync()).unwrap()
}

/// A server of a test.
struct Server {
    address: SocketAddr,
    /// The heads of the requests that came.
    heads: mpsc::Receiver<String>,
}

impl Server {
    /// Answers every connection by `answer`, which may write for as long as somebody
    /// reads.
    fn new(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1", answer)
    }

    /// Does so at an address.
    fn at(
        ip: &str,
        answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heads) = mpsc::channel();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, tell, answer) = (stream.unwrap(), tell.clone(), answer.clone());
                std::thread::spawn(move || {
                    // The test may have ended meanwhile.
                    drop(tell.send(head(&mut stream)));
                    drop(answer(&mut stream));
                });
            }
        });
        Self { address, heads }
    }

    /// Answers every request by a text.
    fn text(text: &str) -> Self {
        let text = text.to_owned();
        Self::new(move |stream| stream.write_all(text.as_bytes()))
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Connects to whatever a name has for an address by now, where that defence is away.
pub(super) async fn pinned(
    session: &Session,
    target: &Target,
    judged: Vec<SocketAddr>,
) -> Vec<SocketAddr> {
    if stands(Defence::Pinned) {
        return judged;
    }
    let resolver = &session.egress.0.resolver;
    let again = resolver.addresses(&target.host, None).await.unwrap();
    let again = again.into_iter();
    again.map(|ip| SocketAddr::new(ip, target.port)).collect()
}

/// Reads the head of a request.
fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Keeps a connection open and says nothing until the other side ends it.
fn wait(stream: &mut TcpStream) -> std::io::Result<()> {
    while stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}
