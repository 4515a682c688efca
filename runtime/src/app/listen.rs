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

/// Makes the answers of a worker.
pub(super) fn api(metrics: Arc<Metrics>, registry: Registry, shutdown: Shutdown) -> Api {
    let probe: Arc<Probe> = Arc::new(move || {
        let registry = registry.clone();
        Box::pin(async move {
            registry
                .modules()
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
