//! Guests that ask WASI for the network itself, in all its ways: there are no sockets, and
//! no names.

use crate::raw::{Raw, contract};
use celeriac_harness::{Module, Outcome};

/// What of `wasi:sockets` the guests below ask for.
const SOCKETS: &str = "package wasi:sockets@0.2.0 {
    interface network {
        resource network;
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
            concurrency-conflict, not-in-progress, would-block, invalid-state,
            new-socket-limit, address-not-bindable, address-in-use, remote-unreachable,
            connection-refused, connection-reset, connection-aborted, datagram-too-large,
            name-unresolvable, temporary-resolver-failure, permanent-resolver-failure,
        }
        enum ip-address-family { ipv4, ipv6 }
    }
    interface instance-network {
        use network.{network};
        instance-network: func() -> network;
    }
    interface tcp {
        use network.{error-code};
        resource tcp-socket { start-listen: func() -> result<_, error-code>; }
    }
    interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
    }
    interface udp { resource udp-socket; }
    interface udp-create-socket {
        use network.{error-code, ip-address-family};
        use udp.{udp-socket};
        create-udp-socket: func(family: ip-address-family) -> result<udp-socket, error-code>;
    }
    interface ip-name-lookup {
        use network.{network, error-code};
        resource resolve-address-stream;
        resolve-addresses: func(network: borrow<network>, name: string)
            -> result<resolve-address-stream, error-code>;
    }
}";

const IMPORTS: &str = "import wasi:sockets/network@0.2.0;
    import wasi:sockets/instance-network@0.2.0;
    import wasi:sockets/tcp@0.2.0;
    import wasi:sockets/tcp-create-socket@0.2.0;
    import wasi:sockets/udp@0.2.0;
    import wasi:sockets/udp-create-socket@0.2.0;
    import wasi:sockets/ip-name-lookup@0.2.0;";

/// `access-denied`, and `permanent-resolver-failure`.
const DENIED: u32 = 1;
const NO_NAMES: u32 = 20;

/// A guest that asks for something, and whose result is the number of the error it is
/// answered with; 99 for no error.
fn asks(what: &str) -> Vec<u8> {
    let run = format!(
        "{what}
         (local.set 0 (if (result i32) (i32.load8_u (i32.const 700))
            (then (i32.load8_u (i32.const 704)))
            (else (i32.const 99))))
         ;; Two digits behind two spaces: all of it is JSON.
         (i32.store16 (i32.const 576) (i32.const 0x2020))
         (i32.store8 (i32.const 578) (select (i32.const 0x20)
            (i32.add (i32.const 0x30) (i32.div_u (local.get 0) (i32.const 10)))
            (i32.lt_u (local.get 0) (i32.const 10))))
         (i32.store8 (i32.const 579)
            (i32.add (i32.const 0x30) (i32.rem_u (local.get 0) (i32.const 10))))
         i32.const 512"
    );
    let raw = Raw {
        imported: r#"
            (import "wasi:sockets/instance-network@0.2.0" "instance-network"
                (func $network (result i32)))
            (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket"
                (func $tcp (param i32 i32)))
            (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-listen"
                (func $listen (param i32 i32)))
            (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket"
                (func $udp (param i32 i32)))
            (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses"
                (func $resolve (param i32 i32 i32 i32)))"#
            .to_owned(),
        more: r#"(data (i32.const 600) "localhost127.0.0.1")"#.to_owned(),
        run: run.leak(),
        ..Raw::default()
    };
    raw.component_for(&contract(IMPORTS, SOCKETS))
}

fn ask(what: &str) -> celeriac_harness::Run {
    let module = Module::from_bytes("raw", &asks(what)).expect("it describes itself");
    module.task("task").run()
}

#[test]
fn sockets_of_tcp_and_udp_are_denied_before_there_is_one() {
    for family in [0, 1] {
        for call in ["$tcp", "$udp"] {
            let run = ask(&format!(
                "(call {call} (i32.const {family}) (i32.const 700))"
            ));
            assert_eq!(run.result(), DENIED, "{call} {family}");
        }
    }
}

#[test]
fn a_socket_that_was_never_made_cannot_listen() {
    let run = ask("(call $listen (i32.const 1) (i32.const 700))");
    let Outcome::Trapped(trap) = run.outcome() else {
        panic!("{:?}", run.outcome());
    };
    assert!(trap.message.contains("unknown handle"), "{}", trap.message);
}

#[test]
fn names_and_addresses_are_not_looked_up_for_a_guest() {
    for (at, length) in [(600, 9), (609, 9)] {
        let run = ask(&format!(
            "(call $resolve (call $network) (i32.const {at}) (i32.const {length}) (i32.const 700))"
        ));
        assert_eq!(run.result(), NO_NAMES, "{at}");
    }
}

#[test]
fn the_network_of_another_wasi_is_refused_when_it_is_uploaded() {
    for (name, words) in [
        ("wasi:sockets/types@0.3.0", "this host has WASI 0.2"),
        ("wasi:sockets/tcp@0.1.0", "this host has WASI 0.2"),
        (
            "wasi:tls/types@0.2.0-draft",
            "this host gives of WASI only cli, clocks, filesystem, http, io, random, sockets",
        ),
        (
            "celeriac:task/sockets@0.1.0",
            "this host has no such interface",
        ),
    ] {
        let text = format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#);
        let bytes = wat::parse_str(text).expect("the component parses");
        let refusal = match Module::from_bytes("upload", &bytes) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(refusal.contains(name), "{refusal}");
        assert!(refusal.contains(words), "{refusal}");
    }
}
