//! Components made by hand: tasks with parameters, all of which return one digit, or trap.

use std::fmt::Write as _;
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Bytes of one `task-info` and one `param` in memory, by the canonical ABI.
const INFO: usize = 200;
const PARAM: usize = 36;
/// Where lists of tasks and of parameters begin, and texts.
const INFOS: usize = 1_024;
const PARAMS: usize = 8_192;
const TEXTS: usize = 16_384;
/// Where the result of every task is.
const RETURNED: usize = 64;

/// A task: its name, and its parameters with whether each must be given.
pub(super) type Task<'a> = (&'a str, &'a [(&'a str, bool)]);

/// Bytes that are put into a memory, and what they point to.
#[derive(Default)]
struct Memory {
    infos: Vec<u8>,
    params: Vec<u8>,
    texts: Vec<u8>,
}

impl Memory {
    fn text(&mut self, text: &str) -> Vec<u8> {
        let place = TEXTS + self.texts.len();
        self.texts.extend(text.bytes());
        pair(place, text.len())
    }

    fn task(&mut self, (name, params): &Task<'_>, doc: &str) {
        let mut info = self.text(name);
        info.extend(self.text(doc));
        info.extend(pair(PARAMS + self.params.len(), params.len()));
        info.resize(INFO, 0);
        self.infos.extend(info);
        for (name, required) in *params {
            let mut param = self.text(name);
            param.extend([0, u8::from(*required)]);
            param.resize(PARAM, 0);
            self.params.extend(param);
        }
    }
}

/// Makes a component whose tasks return `digit`; `does` is WebAssembly text that each
/// runs first.
pub(super) fn component(tasks: &[Task<'_>], digit: char, does: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&wit).expect("it is there");
    let world = resolve
        .select_world(&[package], Some("task"))
        .expect("it is there");
    let mut module = wat::parse_str(core(tasks, digit, does)).expect("it parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it fits");
    let encoder = ComponentEncoder::default()
        .module(&module)
        .expect("it fits");
    let mut encoder = encoder;
    encoder.encode().expect("it fits")
}

fn core(tasks: &[Task<'_>], digit: char, does: &str) -> String {
    let mut memory = Memory::default();
    for task in tasks {
        memory.task(task, &format!("Returns {digit}."));
    }
    let returned: Vec<u8> = [0, 0, RETURNED + 32, 16, RETURNED + 48, 1]
        .into_iter()
        .flat_map(word)
        .collect();
    format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (data (i32.const {RETURNED}) "{}") (data (i32.const {}) "application/json{digit}")
            (data (i32.const 16) "{}") (data (i32.const {INFOS}) "{}")
            (data (i32.const {PARAMS}) "{}") (data (i32.const {TEXTS}) "{}")
            (func (export "celeriac:task/manifest@0.1.0#describe") (result i32) i32.const 16)
            (func (export "celeriac:task/handler@0.1.0#run")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {does} i32.const {RETURNED})
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free (global.set $free (i32.add (global.get $free) (local.get 3)))))"#,
        escape(&returned),
        RETURNED + 32,
        escape(&pair(INFOS, tasks.len())),
        escape(&memory.infos),
        escape(&memory.params),
        escape(&memory.texts)
    )
}

fn pair(place: usize, length: usize) -> Vec<u8> {
    word(place).into_iter().chain(word(length)).collect()
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("it is small").to_le_bytes()
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").expect("a text takes all");
        text
    })
}
