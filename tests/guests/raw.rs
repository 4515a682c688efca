//! Components written by hand, below any compiler: what no Rust guest can do.
//!
//! A [`Raw`] is one core module around the contract, in WebAssembly text, in
//! which a test replaces the part that misbehaves.

use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The parts of a core module; the default is a well-behaved task that returns `null`.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    /// The memory, exported as `memory`; 128 KiB.
    pub(crate) memory: String,
    /// Body of `describe`; one task named `task`.
    pub(crate) describe: &'static str,
    /// Body of `run`; returns `null`.
    pub(crate) run: &'static str,
    /// Body of `cabi_realloc`; gives memory from the second page on.
    pub(crate) realloc: &'static str,
    /// Body of what the host calls after it has read a result; nothing.
    pub(crate) post_return: &'static str,
    /// Body of the start function; nothing.
    pub(crate) start: &'static str,
    /// Imports.
    pub(crate) imported: String,
    /// Further definitions.
    pub(crate) more: String,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            memory: "2".to_owned(),
            describe: "i32.const 16",
            run: "i32.const 512",
            realloc: BUMP,
            post_return: "",
            start: "",
            imported: String::new(),
            more: String::new(),
        }
    }
}

/// Hands out memory from the second page on and never takes it back.
const BUMP: &str = "
    global.get $heap
    global.get $heap  local.get 3  i32.add  i32.const 15  i32.add  i32.const -16  i32.and
    global.set $heap";

/// The answers, laid out as the canonical ABI reads them: at 16 a list of one
/// `task-info`, which is at 64; at 512 the result `ok` with a payload.
const DATA: &str = r#"
    (data (i32.const 16) "\40\00\00\00\01\00\00\00")
    (data (i32.const 32) "task")
    (data (i32.const 64) "\20\00\00\00\04\00\00\00")
    (data (i32.const 520) "\30\02\00\00\10\00\00\00\40\02\00\00\04\00\00\00")
    (data (i32.const 560) "application/jsonnull")"#;

impl Raw {
    /// Returns the core module.
    pub(crate) fn core(&self) -> Vec<u8> {
        let Self {
            memory,
            describe,
            run,
            realloc,
            post_return,
            start,
            imported,
            more,
        } = self;
        let text = format!(
            r#"(module
                {imported}
                (memory (export "memory") {memory})
                (global $heap (mut i32) (i32.const 65536))
                {more} {DATA}
                (func $start {start}) (start $start)
                (func (export "celeriac:task/manifest@0.1.0#describe") (result i32) {describe})
                (func (export "celeriac:task/handler@0.1.0#run")
                    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {run})
                (func (export "cabi_post_celeriac:task/handler@0.1.0#run") (param i32) {post_return})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
            )"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Returns the component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut contract = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (package, _) = contract.push_dir(wit).expect("the contract parses");
        encode(self.core(), &contract, package)
    }

    /// Returns the component for another contract than ours.
    pub(crate) fn component_for(&self, wit: &str) -> Vec<u8> {
        let mut contract = Resolve::default();
        let package = contract
            .push_str("other.wit", wit)
            .expect("the contract parses");
        encode(self.core(), &contract, package)
    }
}

fn encode(mut module: Vec<u8>, contract: &Resolve, package: wit_parser::PackageId) -> Vec<u8> {
    let world = contract
        .select_world(&[package], Some("task"))
        .expect("there is a world `task`");
    embed_component_metadata(&mut module, contract, world, StringEncoding::UTF8)
        .expect("the world is encodable");
    let encoder = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .expect("the module fits");
    let mut encoder = encoder;
    encoder.encode().expect("the component encodes")
}

/// Adds core modules to a component and instantiates each of them `times` times.
///
/// A component is a sequence of sections, and what is defined last disturbs no
/// index before it.
pub(crate) fn with_modules(mut component: Vec<u8>, modules: &[&str], times: u32) -> Vec<u8> {
    let known = defined(&component, 1);
    for text in modules {
        let module = wat::parse_str(text).expect("the module parses");
        section(&mut component, 1, &module);
    }
    let indices = (0..u32::try_from(modules.len()).expect("few modules")).map(|n| known + n);
    for index in indices.flat_map(|index| std::iter::repeat_n(index, times as usize)) {
        let mut instance = vec![1, 0];
        leb(&mut instance, index);
        instance.push(0);
        section(&mut component, 2, &instance);
    }
    component
}

/// Adds a component within the component, which has indices of its own, and
/// instantiates it.
pub(crate) fn with_component(mut component: Vec<u8>, text: &str) -> Vec<u8> {
    let known = defined(&component, 4);
    let inner = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    section(&mut component, 4, &inner);
    let mut instance = vec![1, 0];
    leb(&mut instance, known);
    instance.push(0);
    section(&mut component, 5, &instance);
    component
}

/// Returns the contract with a world that imports more, and the packages it is from.
pub(crate) fn contract(imports: &str, packages: &str) -> String {
    let ours = include_str!("../../wit/task.wit");
    format!("{ours}\nworld task {{ {imports} export manifest; export handler; }}\n{packages}")
}

fn section(component: &mut Vec<u8>, id: u8, content: &[u8]) {
    component.push(id);
    leb(
        component,
        u32::try_from(content.len()).expect("a small section"),
    );
    component.extend_from_slice(content);
}

fn leb(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Counts the sections of one kind: core modules (1) or components (4).
fn defined(component: &[u8], kind: u8) -> u32 {
    let (mut at, mut count) = (8, 0);
    while at < component.len() {
        let id = component[at];
        at += 1;
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            let byte = component[at];
            at += 1;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        count += u32::from(id == kind);
        at += size;
    }
    count
}

/// A guest that makes jobs, with what it needs for it.
pub(crate) fn jobs(run: &'static str) -> Raw {
    Raw {
        imported: r#"
            (import "celeriac:task/submit@0.1.0" "[constructor]job" (func $job
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "celeriac:task/submit@0.1.0" "[method]job.set-queue" (func $queue
                (param i32 i32 i32)))
            (import "celeriac:task/submit@0.1.0" "[static]job.submit" (func $submit
                (param i32 i32 i32)))"#
            .to_owned(),
        more: r#"
            (data (i32.const 600) "a.b") (data (i32.const 610) "[]{}")
            (func $new (result i32) (call $job
                (i32.const 600) (i32.const 3)
                (i32.const 560) (i32.const 16) (i32.const 610) (i32.const 2)
                (i32.const 560) (i32.const 16) (i32.const 612) (i32.const 2)))"#
            .to_owned(),
        run,
        ..Raw::default()
    }
}
