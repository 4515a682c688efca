//! The engine's configuration: one function for the compiler and the worker,
//! because an artifact only loads into an engine that agrees with it.

use crate::defence::{Defence, stands};
use crate::error::SandboxError;
use crate::limits::MEMORY_CEILING;
use std::num::NonZeroUsize;
use wasmtime::{Config, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

/// Depth of a guest's stack, bytes. Wasmtime's own default; recursion past it
/// is a stack overflow, not a crash.
pub(crate) const GUEST_STACK: usize = 512 << 10;
/// A fiber's stack: the guest's and as much again for host calls made from its
/// deepest frame. Overflowing the host's part would abort the process.
const FIBER_STACK: usize = 1 << 20;
/// Guest functions shown for a trap: enough to find the place.
const FRAMES: usize = 20;
/// Zero-padded memory image the compiler may build from sparse data segments:
/// larger ones are initialised piece by piece, so that a few bytes of upload
/// cannot become gigabytes.
const DENSE_IMAGE: u64 = 1 << 20;

/// Core instances of one component: Python needs 14.
pub(crate) const CORE_INSTANCES: u32 = 40;
/// Memories of one component: QuickJS needs 3.
pub(crate) const MEMORIES: u32 = 4;
/// Tables of one component.
pub(crate) const TABLES: u32 = 16;
/// Elements of one table in the pool.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// Bytes of a memory that stay resident when its slot is free: a small guest's
/// memory is reused without a system call, which is three times faster.
const KEEP_RESIDENT: usize = 256 << 10;

/// What compiler and worker must agree on.
pub(crate) fn shared() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_component_model(true)
        // Off for guests (see `inspect`), on for the code the engine itself puts
        // between two instances of a component: it copies from one memory to the
        // other. QuickJS is such a component, and compiling it panics without.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        .memory_init_cow(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .cranelift_opt_level(OptLevel::Speed);
    if stands(Defence::Images) {
        config.memory_guaranteed_dense_image_size(DENSE_IMAGE);
    }
    config
}

/// The worker's configuration: no compiler, and memory by `pooled` slots where
/// given, else mapped on demand.
pub(crate) fn run(pooled: Option<u32>) -> Config {
    let mut config = shared();
    config.enable_compiler(false);
    if let Some(attempts) = pooled {
        config.allocation_strategy(pool(attempts));
    }
    config
}

fn pool(attempts: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(attempts)
        .total_stacks(attempts)
        .total_core_instances(attempts.saturating_mul(8))
        .total_memories(attempts.saturating_mul(2))
        .total_tables(attempts.saturating_mul(4))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(TABLE_ELEMENTS)
        .max_core_instance_size(512 << 10)
        .max_component_instance_size(1 << 20)
        .max_memory_size(usize::try_from(MEMORY_CEILING).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(16 << 10)
        .max_unused_warm_slots(attempts);
    pool
}

/// Turns an engine's words into ours.
pub(crate) fn misconfigured(error: &wasmtime::Error) -> SandboxError {
    SandboxError::Misconfigured {
        reason: format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineSettings, Pooling};
    use wasmtime::Engine;

    /// A component with nothing in it.
    const EMPTY: [u8; 8] = *b"\0asm\x0d\0\x01\0";

    #[test]
    fn the_engine_of_a_worker_has_no_compiler() {
        for slots in [None, Some(4)] {
            let engine = Engine::new(&run(slots)).unwrap();
            assert!(engine.precompile_component(&EMPTY).is_err(), "{slots:?}");
            let component = wasmtime::component::Component::from_binary(&engine, &EMPTY);
            assert!(component.is_err(), "{slots:?}");
        }
    }

    #[test]
    fn what_the_compiler_makes_fits_a_worker_and_what_another_one_makes_does_not() {
        let code = |config: &Config| {
            let compiler = Engine::new(config).unwrap();
            compiler.precompile_component(&EMPTY).unwrap()
        };
        let ours = code(&shared());
        let foreign = code(shared().epoch_interruption(false));
        for pooling in [Pooling::Auto, Pooling::Never] {
            let settings = EngineSettings {
                attempts: 4,
                pooling,
            };
            let worker = crate::Engine::new(&settings).unwrap();
            // It fits the engine, and has no tasks.
            let error = worker.load(&ours).unwrap_err();
            assert!(matches!(error, SandboxError::Broken { .. }), "{error}");
            let error = worker.load(&foreign).unwrap_err();
            assert!(
                matches!(error, SandboxError::Incompatible { .. }),
                "{error}"
            );
        }
    }
}
