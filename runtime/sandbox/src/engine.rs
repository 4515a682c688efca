//! The engine: holds what all attempts share, and ticks.

use crate::component::Component;
use crate::config;
use crate::error::SandboxError;
use crate::host::{Host, linker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::component::Linker;

/// Time between two epoch ticks: how finely a running guest is looked at.
///
/// 5 ms bounds how late a limit is noticed and how long a guest holds a core
/// while others wait; a finer tick costs more switches and gains nothing here.
pub const TICK: Duration = Duration::from_millis(5);

/// Ticks without any attempt after which the ticker sleeps: one second, so
/// that a busy worker never pays for waking it.
const IDLE_TICKS: u32 = 200;

/// How memories are allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// From a pool where the address space allows it, else on demand.
    #[default]
    Auto,
    /// On demand: slower, but without reserving address space.
    Never,
}

/// The settings of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    /// Most attempts at once (64).
    pub attempts: u32,
    /// How memories are allocated.
    pub pooling: Pooling,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            attempts: 64,
            pooling: Pooling::Auto,
        }
    }
}

/// Holds what all attempts share: the code generator's settings, the pool of
/// memories, the host's functions, and the ticker. Cheap to clone.
///
/// It cannot compile, and loads nothing but artifacts its caller vouches for.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    engine: wasmtime::Engine,
    linker: Linker<Host>,
    ticker: Ticker,
    attempts: u32,
    pooled: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("attempts", &self.0.attempts)
            .field("pooled", &self.0.pooled)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets an engine up.
    ///
    /// # Errors
    /// [`SandboxError::Misconfigured`] when the machine does not allow it.
    pub fn new(settings: &EngineSettings) -> Result<Self, SandboxError> {
        // The slots beyond the attempts are for descriptions at upload.
        let slots = settings.attempts.saturating_add(4);
        let pool = match settings.pooling {
            Pooling::Auto => wasmtime::Engine::new(&config::run(Some(slots))).ok(),
            Pooling::Never => None,
        };
        let pooled = pool.is_some();
        if !pooled && settings.pooling == Pooling::Auto {
            tracing::warn!(
                slots,
                "no address space for a pool of memories: mapping them on demand, which is slower"
            );
        }
        let engine = match pool {
            Some(engine) => engine,
            None => wasmtime::Engine::new(&config::run(None))
                .map_err(|error| config::misconfigured(&error))?,
        };
        let linker = linker(&engine).map_err(|error| config::misconfigured(&error))?;
        let ticker = Ticker::start(&engine)?;
        Ok(Self(Arc::new(Shared {
            engine,
            linker,
            ticker,
            attempts: slots,
            pooled,
        })))
    }

    /// Takes an artifact in.
    ///
    /// An artifact is native code: the caller vouches that
    /// [`compile`](crate::compile()) made these very bytes, by a MAC checked
    /// over this memory.
    ///
    /// # Errors
    /// [`SandboxError::Incompatible`] when it was compiled for another engine,
    /// [`SandboxError::Broken`] when it does not fit the host's world.
    pub fn load(&self, artifact: &[u8]) -> Result<Component, SandboxError> {
        Component::load(self, artifact)
    }

    /// Tells whether memories come from a pool.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.0.pooled
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.engine
    }

    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.0.linker
    }

    pub(crate) fn slots(&self) -> u32 {
        self.0.attempts
    }

    /// Keeps the ticker awake while the guard lives.
    pub(crate) fn live(&self) -> Live<'_> {
        self.0.ticker.begin();
        Live(&self.0.ticker)
    }
}

/// Says that an attempt runs.
pub(crate) struct Live<'a>(&'a Ticker);

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.state.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread that moves the epoch on while attempts run. It ends with its engine.
struct Ticker {
    state: Arc<TickerState>,
    thread: Thread,
}

#[derive(Default)]
struct TickerState {
    running: AtomicUsize,
    asleep: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> Result<Self, SandboxError> {
        let state = Arc::new(TickerState::default());
        let (inner, engine) = (state.clone(), engine.weak());
        let thread = std::thread::Builder::new()
            .name("celeriac-tick".to_owned())
            .spawn(move || tick(&inner, &engine))
            .map_err(|error| SandboxError::Misconfigured {
                reason: format!("no thread for the ticker: {error}"),
            })?;
        Ok(Self {
            state,
            thread: thread.thread().clone(),
        })
    }

    fn begin(&self) {
        self.state.running.fetch_add(1, Ordering::SeqCst);
        if self.state.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn tick(state: &TickerState, engine: &wasmtime::EngineWeak) {
    let mut idle = 0;
    while !state.ended.load(Ordering::SeqCst) {
        std::thread::park_timeout(TICK);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        drop(engine);
        idle = if state.running.load(Ordering::SeqCst) > 0 {
            0
        } else {
            idle + 1
        };
        if idle > IDLE_TICKS {
            state.asleep.store(true, Ordering::SeqCst);
            // An attempt that began before it could see `asleep` is seen here.
            while state.asleep.load(Ordering::SeqCst)
                && state.running.load(Ordering::SeqCst) == 0
                && !state.ended.load(Ordering::SeqCst)
            {
                std::thread::park();
            }
            state.asleep.store(false, Ordering::SeqCst);
            idle = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_pool_is_set_up_too() {
        let settings = EngineSettings {
            pooling: Pooling::Never,
            ..EngineSettings::default()
        };
        assert!(!Engine::new(&settings).unwrap().is_pooled());
    }

    #[test]
    fn the_ticker_ends_with_its_engine() {
        let engine = Engine::new(&EngineSettings::default()).unwrap();
        let state = engine.0.ticker.state.clone();
        drop(engine);
        while Arc::strong_count(&state) > 1 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_sleeping_ticker_is_woken_by_an_attempt() {
        let engine = Engine::new(&EngineSettings::default()).unwrap();
        let state = &engine.0.ticker.state;
        while !state.asleep.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let live = engine.live();
        assert!(!state.asleep.load(Ordering::SeqCst));
        drop(live);
        assert_eq!(state.running.load(Ordering::SeqCst), 0);
    }
}
