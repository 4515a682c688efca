//! WASI 0.2 for guests whose language needs it, denied by construction.
//!
//! No arguments, no environment, no folders, closed standard input, no
//! sockets, no name lookup. Standard output and standard error go to the
//! attempt's bounded log; clocks are coarse; random numbers are bounded.

use super::Host;
use super::ambient::{RANDOM_BYTES, unix_ms};
use crate::log::{LogBook, Stream};
use bytes::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// Resolution of a guest's clocks: too coarse to time a neighbour's cache.
const RESOLUTION: Duration = Duration::from_millis(1);
/// Most bytes a guest may write at once.
const WRITE_BYTES: usize = 64 << 10;

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.called();
        let (log, started) = (&self.log, self.deadlines.started);
        let ctx = self.wasi.get_or_insert_with(|| denied(log, started));
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

fn denied(log: &LogBook, started: Instant) -> WasiCtx {
    WasiCtx::builder()
        .stdout(Output(log.clone(), Stream::Out))
        .stderr(Output(log.clone(), Stream::Err))
        .max_random_size(u64::from(RANDOM_BYTES))
        .wall_clock(Coarse(started))
        .monotonic_clock(Coarse(started))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .build()
}

struct Coarse(Instant);

impl HostWallClock for Coarse {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::from_millis(unix_ms())
    }
}

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        let ms = self.0.elapsed().as_millis();
        u64::try_from(ms)
            .unwrap_or(u64::MAX)
            .saturating_mul(1_000_000)
    }
}

/// Standard output or standard error, going to the log. It never blocks and
/// never fails: what is over the budget is dropped there.
#[derive(Clone)]
struct Output(LogBook, Stream);

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(self.1, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.write(self.1, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
