//! A way to a server that can be cut or stopped up, as networks are.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes that are handed on at once.
const PIECE: usize = 16 << 10;

/// Which way bytes go on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    Back,
}

/// Hands every connection on to one port of this machine. It ends with the test.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    ways: Arc<Ways>,
}

#[derive(Debug, Default)]
struct Ways {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    clients: Vec<TcpStream>,
    unheard: Option<Vec<u8>>,
}

impl Proxy {
    /// Starts to hand on to a port, from a free one.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn to(target: u16) -> Self {
        Self::on(0, target)
    }

    /// Starts to hand on to a port, from one that was free a moment ago.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn on(port: u16, target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let ways = Arc::new(Ways::default());
        let shared = Arc::clone(&ways);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    shared.join(client, server);
                }
            }
        });
        Self { port, ways }
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection as the death of the client does: what it sent arrives, and
    /// then the end. New connections are welcome.
    pub fn cut(&self) {
        for client in self.ways.lock().clients.drain(..) {
            // It may have ended by itself.
            let _ended = client.shutdown(Shutdown::Read);
        }
    }

    /// Ends the next connection on which these bytes are sent, once the server answered
    /// them: what they ask for is done, and nobody hears of it.
    pub fn lose_answer_to(&self, asked: &str) {
        self.ways.lock().unheard = Some(asked.as_bytes().to_vec());
    }

    /// Tells whether an answer is still to be lost.
    #[must_use]
    pub fn is_to_lose(&self) -> bool {
        self.ways.lock().unheard.is_some()
    }

    /// Holds back everything from now on; connections stay.
    pub fn stop(&self) {
        self.ways.lock().is_stopped = true;
    }

    /// Lets everything through again.
    pub fn go_on(&self) {
        self.ways.lock().is_stopped = false;
        self.ways.changed.notify_all();
    }
}

impl Ways {
    fn join(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let both = [(Way::Out, &client, &server), (Way::Back, &server, &client)];
        let is_lost = Arc::new(AtomicBool::new(false));
        for (way, from, to) in both {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                return;
            };
            let (ways, is_lost) = (Arc::clone(self), Arc::clone(&is_lost));
            thread::spawn(move || ways.carry(way, from, to, &is_lost));
        }
        self.lock().clients.push(client);
    }

    /// Carries bytes one way; `is_lost` says that the next answer is.
    fn carry(&self, way: Way, mut from: TcpStream, mut to: TcpStream, is_lost: &AtomicBool) {
        let mut piece = vec![0; PIECE];
        while let Ok(length) = from.read(&mut piece) {
            let stopped = self.lock();
            let going = self.changed.wait_while(stopped, |state| state.is_stopped);
            drop(going);
            if way == Way::Out && self.is_unheard(&piece[..length]) {
                is_lost.store(true, Ordering::SeqCst);
            }
            if way == Way::Back && is_lost.load(Ordering::SeqCst) {
                break;
            }
            if length == 0 || to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ended = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// Tells whether the answer to these bytes is to be lost.
    fn is_unheard(&self, bytes: &[u8]) -> bool {
        let wanted = &mut self.lock().unheard;
        let asked = wanted.take_if(|asked| bytes.windows(asked.len()).any(|part| part == asked));
        asked.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
