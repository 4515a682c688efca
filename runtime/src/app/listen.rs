//! Where metrics and health of a worker are served.

use super::StartError;
use crate::api::{Api, Probe};
use crate::config::WorkerConfig;
use crate::registry::Registry;
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Opens the address of the configuration. A taken port is an error where a
/// person chose it; else a free one is taken, since several workers may run on
/// one machine.
pub(super) async fn bind(worker: &WorkerConfig) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = worker.listen else {
        return Ok(None);
    };
    let failed = |source| StartError::Listen { address, source };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse && !worker.listen_is_chosen => {
            let free = SocketAddr::new(address.ip(), 0);
            TcpListener::bind(free).await.map(Some).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Returns where that is.
pub(super) fn address(listener: Option<&TcpListener>) -> Option<SocketAddr> {
    listener.and_then(|listener| listener.local_addr().ok())
}

/// Makes the answers of a worker.
pub(super) fn api(metrics: Arc<Metrics>, registry: Registry, shutdown: Shutdown) -> Api {
    let probe: Arc<Probe> = Arc::new(move || {
        let registry = registry.clone();
        Box::pin(async move {
            registry
                .generation()
                .await
                .map(|_| ())
                .map_err(|error| error.to_string())
        })
    });
    Api::new(metrics, probe, shutdown)
}

/// Serves until `end`. A broken listener harms no task: it is only told.
pub(super) async fn serve(
    api: Api,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) {
    if let Err(error) = api.serve(listener, end).await {
        tracing::error!(%error, "metrics and health are not served any more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};
    use std::path::Path;

    fn worker(listen: Option<SocketAddr>) -> WorkerConfig {
        let mut raw = RawConfig::default();
        if let Some(address) = listen {
            let text = format!("[worker]\nlisten = \"{address}\"\n");
            raw.read_text(Path::new("celeriac.toml"), &text).unwrap();
        }
        Config::check(raw).unwrap().0.worker
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_only_where_it_was_chosen() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(&worker(Some(address))).await.unwrap_err().to_string();
        assert!(
            error.contains(&format!("cannot be served at {address}")),
            "{error}"
        );
        let by_default = WorkerConfig {
            listen: Some(address),
            ..worker(None)
        };
        assert!(!by_default.listen_is_chosen);
        let free = bind(&by_default)
            .await
            .unwrap()
            .unwrap()
            .local_addr()
            .unwrap();
        assert_ne!(free.port(), address.port());
        assert!(
            bind(&WorkerConfig {
                listen: None,
                ..worker(None)
            })
            .await
            .unwrap()
            .is_none()
        );
    }
}
