//! The host's side of the drafts of WASI that guests may import, generated from `wit/`.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "drafts",
    imports: {
        "wasi:keyvalue/store.open": trappable,
        "wasi:keyvalue/store.[drop]bucket": trappable,
        "wasi:config/store": trappable,
        default: async | trappable,
    },
    with: {
        "wasi:keyvalue/store.bucket": crate::host::key_value::Bucket,
    },
});
