//! Tasks that keep more than they may.

use crate::bindings::celeriac::task::scratch;
use crate::bindings::wasi::config::store as values;
use crate::bindings::wasi::keyvalue::{batch, store};
use crate::{Answer, Task, bytes};
use std::hint::black_box;

pub(crate) const TASKS: &[Task] = &[
    ("hoard_buckets", |_| hoard_buckets()),
    ("keep_a_batch", |_| said(keep(100, 1, 10))),
    ("keep_a_large_batch", |_| said(keep(101, 1, 10))),
    ("keep_a_large_value", |_| said(keep(1, 1, (64 << 10) + 1))),
    ("keep_a_large_key", |_| said(keep(1, 513, 1))),
    ("keep_an_empty_key", |_| said(set("", 1))),
    ("open_another_bucket", |_| {
        said(store::open("other").map(drop))
    }),
    ("read_all_values", |_| {
        bytes(format!("{}", values::get_all().map_or(0, |all| all.len())))
    }),
    ("fill_the_scratch", |_| fill_the_scratch()),
    ("scratch_files_without_end", |_| scratch_files_without_end()),
];

/// Tells an error as it is.
fn said(result: Result<(), store::Error>) -> Answer {
    let text = match result {
        Ok(()) => "kept".to_owned(),
        Err(store::Error::AccessDenied) => "access denied".to_owned(),
        Err(store::Error::NoSuchStore) => "no such store".to_owned(),
        Err(store::Error::Other(text)) => text,
    };
    bytes(format!("{text:?}"))
}

fn set(key: &str, value: usize) -> Result<(), store::Error> {
    store::open("default")?.set(key, &vec![7; value])
}

fn keep(many: usize, key: usize, value: usize) -> Result<(), store::Error> {
    let pair = |number: usize| (format!("{number:0key$}"), vec![7; value]);
    let pairs: Vec<_> = (0..many).map(pair).collect();
    let bucket = store::open("")?;
    batch::set_many(&bucket, &pairs)?;
    let keys: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
    let found = batch::get_many(&bucket, &keys)?;
    assert!(
        found.into_iter().flatten().eq(pairs),
        "what was kept is found"
    );
    batch::delete_many(&bucket, &keys)
}

/// Opens the store again and again, and keeps all handles.
fn hoard_buckets() -> Answer {
    let mut kept = Vec::new();
    loop {
        kept.push(store::open("default"));
        black_box(&kept);
    }
}

/// Writes far apart, then without end; tells how many bytes there was room for.
fn fill_the_scratch() -> Answer {
    for offset in [1 << 30, u64::MAX - 1, u64::MAX] {
        assert!(
            scratch::write("far", offset, b"xy").is_err(),
            "no room out there"
        );
    }
    let page = vec![7; 1 << 20];
    let mut written = 0_u64;
    while scratch::write("near", written, &page).is_ok() {
        written += page.len() as u64;
    }
    bytes(written.to_string())
}

/// Makes files until there is no room for one more; tells how many there are.
fn scratch_files_without_end() -> Answer {
    let mut made = 0;
    while scratch::write(&format!("{made:0255}"), 0, &[]).is_ok() {
        made += 1;
    }
    bytes(made.to_string())
}
