//! The host's side of `celeriac:task@0.1`, generated from `wit/`.

pub(crate) mod drafts;

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "task",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        "celeriac:task/context.wait": async | trappable,
        "celeriac:task/submit.[static]job.submit": async | trappable,
        "celeriac:task/canvas": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "celeriac:task/submit.job": crate::host::submit::Job,
    },
});
