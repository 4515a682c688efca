//! Ports for private servers.

use std::net::{TcpListener, TcpStream};

/// Returns a port that nobody listens on, and that is given to nobody else for a minute.
///
/// A server takes seconds to listen. A connection that is closed from the port's side first
/// leaves it waiting (TIME-WAIT, RFC 9293 3.3.2): the system hands it to nobody who asks for
/// any port, and lets those have it who ask for this one with `SO_REUSEADDR`, as servers do.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let client = TcpStream::connect(address).expect("it listens");
    let (server, _) = listener.accept().expect("a connection");
    drop(server);
    drop(client);
    address.port()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_port_is_given_to_one_server_and_to_nobody_who_asks_for_any() {
        let given: BTreeSet<u16> = (0..300).map(|_| free_port()).collect();
        assert_eq!(given.len(), 300);
        for _ in 0..3_000 {
            let any = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
            let port = any.local_addr().expect("its address").port();
            assert!(!given.contains(&port), "{port} is given twice");
        }
        for port in given {
            TcpListener::bind(("127.0.0.1", port)).expect("it can be listened on");
        }
    }
}
