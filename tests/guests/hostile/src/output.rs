//! Tasks that tell the host too much.

use crate::bindings::celeriac::task::{log, progress};
use crate::{Answer, Task, bytes};

const MANY: u32 = 1_000_000;
const MIB: usize = 1 << 20;

pub(crate) const TASKS: &[Task] = &[
    ("flood_log", |_| flood_log()),
    ("one_long_line", |_| one_long_line()),
    ("many_empty_fields", |_| many_empty_fields()),
    ("long_field_names", |_| long_field_names()),
    ("flood_stdout", |_| flood_stdout()),
    ("one_long_stdout_line", |_| one_long_stdout_line()),
    ("terminal_escapes", |_| terminal_escapes()),
    ("flood_progress", |_| flood_progress()),
    ("big_progress", |_| big_progress()),
    ("false_states", |_| false_states()),
];

fn flood_log() -> Answer {
    for n in 0..MANY {
        log::emit(log::Level::Info, &format!("line {n}"), &[]);
    }
    bytes("null")
}

fn one_long_line() -> Answer {
    let line = "x".repeat(100 * MIB);
    log::emit(log::Level::Info, &line, &[]);
    bytes("null")
}

fn many_empty_fields() -> Answer {
    let fields = vec![(String::new(), String::new()); MANY as usize];
    log::emit(log::Level::Info, "", &fields);
    bytes("null")
}

fn long_field_names() -> Answer {
    let fields = vec![("n".repeat(64 << 10), "v".repeat(64 << 10))];
    for _ in 0..100 {
        log::emit(log::Level::Error, "m", &fields);
    }
    bytes("null")
}

fn flood_stdout() -> Answer {
    for n in 0..MANY / 10 {
        println!("out {n}");
        eprintln!("err {n}");
    }
    bytes("null")
}

fn one_long_stdout_line() -> Answer {
    use std::io::Write;
    let block = vec![b'x'; MIB];
    for _ in 0..100 {
        let _ = std::io::stdout().write_all(&block);
    }
    bytes("null")
}

fn terminal_escapes() -> Answer {
    let text = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nok\u{9b}31m";
    log::emit(
        log::Level::Warn,
        text,
        &[(text.to_owned(), text.to_owned())],
    );
    println!("{text}");
    Err(crate::failure("Ugly\u{1b}[31mName", text.to_owned()))
}

fn flood_progress() -> Answer {
    for n in 0..u64::from(MANY) {
        progress::update(n, Some(u64::from(MANY)), None);
        progress::set_state("CUSTOM", "{\"n\":1}");
    }
    bytes("null")
}

fn big_progress() -> Answer {
    progress::update(1, None, Some(&"x".repeat(MIB)));
    progress::set_state("CUSTOM", &format!("\"{}\"", "x".repeat(MIB)));
    progress::set_state(&"S".repeat(MIB), "1");
    bytes("null")
}

/// Claims the states that only the host may give, and one that is no name.
fn false_states() -> Answer {
    for state in [
        "SUCCESS", "FAILURE", "REVOKED", "RETRY", "STARTED", "PENDING", "", "a\u{1b}b",
    ] {
        progress::set_state(state, "{}");
    }
    progress::set_state("CUSTOM", "{ not json");
    bytes("null")
}
