//! What stands between a worker and its control plane, and changes or keeps components on
//! their way.

use super::{ANSWER, Control, exchange};
use crate::{stage, success};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use support::{Stage, until};

/// How the request for a component begins.
const COMPONENT: &str = "GET /v1/worker/components/";

/// What becomes of components on their way.
#[derive(Debug, Default)]
struct Way {
    /// A bit of each is changed.
    lies: AtomicBool,
    /// Some do not arrive.
    is_shut: AtomicBool,
    /// How many of those that are asked for from now on.
    held: AtomicUsize,
    /// What was asked for, method and path.
    asked: Mutex<Vec<String>>,
}

/// Hands requests on to a control plane.
fn between(plane: SocketAddr, way: &Arc<Way>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let way = Arc::clone(way);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let way = Arc::clone(&way);
            std::thread::spawn(move || hand_on(stream, plane, &way));
        }
    });
    address
}

impl Way {
    /// Keeps so many components on their way until it is open again.
    fn shut(&self, number: usize) {
        self.held.store(number, Ordering::SeqCst);
        self.is_shut.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        self.held.store(0, Ordering::SeqCst);
        self.is_shut.store(false, Ordering::SeqCst);
    }

    fn holds(&self) -> bool {
        let one_less = |number: usize| number.checked_sub(1);
        let order = Ordering::SeqCst;
        self.held.fetch_update(order, order, one_less).is_ok()
    }

    fn note(&self, request: &[u8]) {
        let request = String::from_utf8_lossy(request);
        let line = request.lines().next().unwrap_or_default();
        self.asked.lock().expect("no panic").push(line.to_owned());
    }

    /// How often something was asked for.
    fn times(&self, what: &str) -> usize {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|line| line.contains(what)).count()
    }
}

fn hand_on(mut stream: TcpStream, plane: SocketAddr, way: &Way) {
    stream.set_read_timeout(Some(ANSWER)).expect("a timeout");
    let Some(request) = request(&mut stream) else {
        return;
    };
    way.note(&request);
    let mut answer = exchange(plane, &request);
    if request.starts_with(COMPONENT.as_bytes()) {
        let holds = way.holds();
        until("the way is open", || {
            (!holds || !way.is_shut.load(Ordering::SeqCst)).then_some(())
        });
        if way.lies.load(Ordering::SeqCst)
            && let Some(last) = answer.last_mut()
        {
            *last ^= 1;
        }
    }
    let _gone = stream.write_all(&answer);
}

/// Reads one request, which is to be the last on its connection.
fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        match stream.read(&mut part).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(part.get(..read)?),
        }
    }
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = bytes.split_at(end);
    Some([line, b"\r\nconnection: close", rest].concat())
}

/// A component that nobody has compiled before: with a section that nothing reads.
fn variant(stage: &Stage, component: &str, number: u8) -> Vec<u8> {
    let bytes = std::fs::read(stage.component(component)).expect("a component");
    [&bytes[..], &[0, 3, 1, b'n', number]].concat()
}

/// A control plane, the way to it, and the stage of a worker that follows it through that.
fn apart() -> (Control, Arc<Way>, Stage) {
    let control = Control::start(stage());
    let way = Arc::new(Way::default());
    let proxy = between(control.plane.address, &way);
    let server = format!("http://{proxy}");
    let follower = control.follower().with("server", &server);
    (control, way, follower)
}

#[test]
fn a_component_that_is_changed_on_its_way_never_runs() {
    let (control, way, follower) = apart();
    way.lies.store(true, Ordering::SeqCst);
    let pushed = control.push("default", "text", "text");
    let worker = follower.server(&["worker"]);
    until("it is refused", || {
        worker.log().contains("were thrown away").then_some(())
    });
    let files = std::fs::read_dir(follower.data().join("components"));
    assert_eq!(files.expect("a folder").count(), 0, "{pushed}");
    let unknown = follower.with("server", "").with("token", "");
    let id = unknown.send("text.echo", &["-a", "[1]"]);
    let told = unknown.ended(&id);
    assert_eq!(told["state"], "FAILURE", "{told}");
    way.lies.store(false, Ordering::SeqCst);
    until("it is fetched", || {
        worker.log().contains("loaded text 1").then_some(())
    });
    success(&unknown.call("text.echo", "[2]"));
}

/// Pushes what is refused, for it breaks callers, until something is seen: one that is
/// compiled before the worker has heard of it is gone by then.
fn refused_until(control: &Control, what: &str, seen: impl Fn() -> bool) {
    let mut number = 0;
    until(what, || {
        number += 1;
        let push = "PUT /v1/tenants/default/modules/text";
        let other = variant(&control.plane.stage, "flaky", number);
        let (status, answer) = control.send(push, "application/wasm", &other);
        assert_eq!(status, 409, "{answer}");
        seen().then_some(())
    });
}

#[test]
fn what_is_published_does_not_wait_for_what_is_being_pushed() {
    let (control, way, follower) = apart();
    let _first = control.push("default", "text", "text");
    let worker = follower.server(&["worker"]);
    let before = way.times(COMPONENT);
    way.shut(1);
    refused_until(&control, "one is on its way", || {
        way.times(COMPONENT) > before
    });
    let _odd = control.push("default", "odd", "odd");
    until("it is loaded", || {
        worker.log().contains("loaded odd 1").then_some(())
    });
    way.open();
}

#[test]
fn a_worker_is_prepared_for_what_is_being_pushed_and_runs_nothing_that_was_refused() {
    let (control, way, follower) = apart();
    let _first = control.push("default", "text", "text");
    let worker = follower.server(&["worker"]);
    let artifacts = || {
        let files = std::fs::read_dir(follower.data().join("artifacts"));
        files.expect("a folder").count()
    };
    refused_until(&control, "the worker is prepared for one", || {
        artifacts() > 1
    });
    let odd = control.push("default", "odd", "odd");
    until("it is loaded", || {
        worker.log().contains("loaded odd 1").then_some(())
    });
    let digest = odd["digest"].as_str().unwrap_or_default();
    let digits = digest.trim_start_matches("sha256:");
    assert_eq!(way.times(digits), 1, "it comes once: {odd}");
    let client = follower.with("server", "").with("token", "");
    success(&client.call("text.echo", "[1]"));
}

#[test]
fn a_worker_that_begins_has_all_modules_whatever_is_pushed_meanwhile() {
    let (control, way, follower) = apart();
    let _first = control.push("default", "text", "text");
    way.shut(usize::MAX);
    let worker = std::thread::scope(|scope| {
        let begins = scope.spawn(|| follower.server(&["worker"]));
        until("the component is on its way", || {
            (way.times(COMPONENT) > 0).then_some(())
        });
        let what = "PUT /v1/tenants/default/modules/text";
        let second = variant(&follower, "text", 2);
        let (status, answer) = control.send(what, "application/wasm", &second);
        assert_eq!(status, 200, "{answer}");
        way.open();
        begins.join().expect("it begins")
    });
    let client = follower.with("server", "").with("token", "");
    success(&client.call("text.echo", "[1]"));
    until("the second is there", || {
        worker.log().contains("loaded text 2").then_some(())
    });
}

#[test]
fn a_rollback_does_not_wait_for_a_component_that_is_on_its_way() {
    let (control, way, follower) = apart();
    let _first = control.push("default", "text", "text");
    let worker = follower.server(&["worker"]);
    let client = follower.with("server", "").with("token", "");
    let _second = control.push("default", "text", "flaky");
    // The first knows `text.echo`, the second does not.
    let runs = |state: &str| {
        until(state, || {
            (client.call("text.echo", "[1]")["state"] == state).then_some(())
        });
    };
    runs("FAILURE");
    way.shut(usize::MAX);
    // It is asked for once it is published, whether or not it was announced before.
    let described = "POST /v1/worker/components ";
    let before = way.times(described);
    std::thread::scope(|scope| {
        // It waits until workers have it, and so does a rollback.
        scope.spawn(|| control.push("default", "numbers", "numbers"));
        until("the component is on its way", || {
            (way.times(described) > before).then_some(())
        });
        let rollback = "POST /v1/tenants/default/modules/text/rollback";
        scope.spawn(|| control.ask(rollback, &json!({"version": 1})));
        runs("SUCCESS");
        assert!(!worker.log().contains("loaded numbers 1"));
        way.open();
    });
    until("it is fetched", || {
        worker.log().contains("loaded numbers 1").then_some(())
    });
}
