//! Bare Wasmtime at its best: pooled memory, epochs, nothing else.

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, PoolingAllocationConfig, Store, StoreLimits, StoreLimitsBuilder};

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "task",
    ownership: Borrowing { duplicate_if_necessary: true },
    exports: { default: async },
});

use celeriac::task::types::PayloadParam;
use exports::celeriac::task::handler::Call;

pub(crate) struct Bare {
    engine: Engine,
    pre: TaskPre<StoreLimits>,
}

impl Bare {
    pub(crate) fn new(wasm: &[u8]) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(68)
            .total_core_instances(544)
            .total_memories(136)
            .total_tables(272)
            .max_memory_size(256 << 20)
            .linear_memory_keep_resident(256 << 10)
            .table_keep_resident(16 << 10);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .concurrency_support(false)
            .allocation_strategy(pool);
        let engine = Engine::new(&config).expect("the engine starts");
        let component = Component::from_binary(&engine, wasm).expect("the component compiles");
        let mut linker = Linker::new(&engine);
        // The measured task calls nothing of the host.
        linker
            .define_unknown_imports_as_traps(&component)
            .expect("the imports can be defined");
        let pre = linker
            .instantiate_pre(&component)
            .expect("the component links");
        Self {
            pre: TaskPre::new(pre).expect("the component fits the world"),
            engine,
        }
    }

    pub(crate) fn turn(&self, times: u32) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime starts").block_on(async {
            for _ in 0..times {
                self.dispatch().await;
            }
        });
    }

    async fn dispatch(&self) {
        let limits = StoreLimitsBuilder::new().memory_size(64 << 20).build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        store.set_epoch_deadline(u64::MAX / 2);
        let task = self
            .pre
            .instantiate_async(&mut store)
            .await
            .expect("it instantiates");
        let payload = |data| PayloadParam {
            content_type: "application/json",
            data,
        };
        let call = Call {
            task: "echo",
            args: payload(b"[1]"),
            kwargs: payload(b"{}"),
        };
        let answer = task
            .celeriac_task_handler()
            .call_run(&mut store, call)
            .await;
        let result = answer
            .expect("it does not trap")
            .expect("it returns a result");
        assert_eq!(result.data, b"1");
    }
}
