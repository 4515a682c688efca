//! What stands between a worker and its control plane, and changes components on their way.

use super::{ANSWER, Control, exchange};
use crate::{stage, success};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::until;

/// Hands requests on to a control plane, and changes a bit of each component while it lies.
fn between(plane: SocketAddr, lies: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lies = Arc::clone(&lies);
            std::thread::spawn(move || hand_on(stream, plane, &lies));
        }
    });
    address
}

fn hand_on(mut stream: TcpStream, plane: SocketAddr, lies: &AtomicBool) {
    stream.set_read_timeout(Some(ANSWER)).expect("a timeout");
    let Some(request) = request(&mut stream) else {
        return;
    };
    let mut answer = exchange(plane, &request);
    let is_component = request.starts_with(b"GET /v1/worker/components/");
    if is_component
        && lies.load(Ordering::SeqCst)
        && let Some(last) = answer.last_mut()
    {
        *last ^= 1;
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

#[test]
fn a_component_that_is_changed_on_its_way_never_runs() {
    let control = Control::start(stage());
    let lies = Arc::new(AtomicBool::new(true));
    let proxy = between(control.plane.address, Arc::clone(&lies));
    let follower = control
        .follower()
        .with("server", &format!("http://{proxy}"));
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
    lies.store(false, Ordering::SeqCst);
    until("it is fetched", || {
        worker.log().contains("loaded text 1").then_some(())
    });
    success(&unknown.call("text.echo", "[2]"));
}
