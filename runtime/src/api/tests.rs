//! Health is a pure decision; the rest is asked over a real connection.

use super::*;
use crate::shutdown::Shutdown;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

struct Server {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    tasks: JoinSet<std::io::Result<()>>,
}

async fn server(registry: Result<(), String>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let shutdown = Shutdown::new();
    let probe: Arc<Probe> = Arc::new(move || {
        let answer = registry.clone();
        Box::pin(async move { answer })
    });
    let api = Api::new(Arc::clone(&metrics), probe, shutdown.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(api.serve(listener, shutdown.cancelled()));
    Server {
        address,
        metrics,
        shutdown,
        tasks,
    }
}

impl Server {
    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[test]
fn a_worker_is_ready_when_everything_answers() {
    let ms = Duration::from_millis;
    let broken = || Err("gone".to_owned());
    for (since, registry, stopping, ready) in [
        (Some(ms(0)), Ok(()), false, true),
        (Some(ms(9_999)), Ok(()), false, true),
        (Some(ms(10_000)), Ok(()), false, false),
        (None, Ok(()), false, false),
        (Some(ms(0)), broken(), false, false),
        (Some(ms(0)), Ok(()), true, false),
    ] {
        assert_eq!(
            readiness(since, registry.clone(), stopping).ready,
            ready,
            "{since:?} {registry:?} {stopping}"
        );
    }
    let answer = readiness(Some(ms(12_000)), broken(), true);
    assert_eq!(
        answer.broker.detail.as_deref(),
        Some("no answer from the broker for 12 s")
    );
    assert_eq!(answer.registry.detail.as_deref(), Some("gone"));
    assert_eq!(
        answer.running.detail.as_deref(),
        Some("the worker is draining")
    );
}

#[tokio::test]
async fn metrics_and_health_are_served() {
    let server = server(Ok(())).await;
    assert!(
        server
            .get("/health/live")
            .await
            .ends_with("{\"live\":true}")
    );
    let not_yet = server.get("/health/ready").await;
    assert!(
        not_yet.starts_with("HTTP/1.1 503") && not_yet.contains("no answer from the broker yet"),
        "{not_yet}"
    );
    server.metrics.fetched();
    let ready = server.get("/health/ready").await;
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("\"ready\":true"),
        "{ready}"
    );
    let metrics = server.get("/metrics").await;
    assert!(
        metrics.contains("application/openmetrics-text")
            && metrics.contains("celeriac_tasks_in_flight 0"),
        "{metrics}"
    );
    assert!(server.get("/nothing").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn the_server_ends_when_it_is_told() {
    let mut server = server(Ok(())).await;
    server.shutdown.cancel();
    assert!(server.tasks.join_next().await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_one_to_end() {
    let server = server(Ok(())).await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        idle.push(stream);
    }
    let mut answer = Box::pin(server.get("/health/live"));
    assert!(futures::poll!(&mut answer).is_pending());
    drop(idle.pop());
    assert!(answer.await.contains("{\"live\":true}"));
}
