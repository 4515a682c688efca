//! The walls around what a guest keeps: its key-value store and its scratch files.

use super::raw::{Raw, contract};
use super::{Attempt, Component, Defence, Grants, Report, call, limits, load, returned, without};
use crate::{KeepError, Keeper, Keeping, Room};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A store that keeps to the room it is told.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

impl Kept {
    fn bytes(&self) -> usize {
        let kept = self.0.lock().unwrap();
        kept.iter()
            .map(|(key, value)| key.len() + value.len())
            .sum()
    }
}

impl Keeper for Kept {
    fn get(&self, keys: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>> {
        let kept = self.0.lock().unwrap();
        let values = keys.iter().map(|key| kept.get(key).cloned()).collect();
        Box::pin(std::future::ready(Ok(values)))
    }

    fn set(&self, pairs: Vec<(String, Vec<u8>)>, room: Room) -> Keeping<'_, ()> {
        let mut kept = self.0.lock().unwrap();
        kept.extend(pairs);
        let bytes: usize = kept
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let fits = bytes as u64 <= room.bytes && kept.len() as u64 <= room.keys;
        let answer = fits.then_some(()).ok_or(KeepError::Full(String::new()));
        Box::pin(std::future::ready(answer))
    }

    fn delete(&self, _: Vec<String>) -> Keeping<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn keys(&self, _: u64) -> Keeping<'_, Vec<String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn increment(&self, _: String, delta: u64, _: Room) -> Keeping<'_, u64> {
        Box::pin(std::future::ready(Ok(delta)))
    }
}

const STORE: &str = "package wasi:keyvalue@0.2.0-draft { interface store {
    variant error { no-such-store, access-denied, other(string) }
    resource bucket { set: func(key: string, value: list<u8>) -> result<_, error>; }
    open: func(identifier: string) -> result<bucket, error>;
} }";

/// Keeps so many values of so many bytes, and traps at the first that is not kept.
fn keeps(values: u32, bytes: u32) -> Component {
    let run = format!(
        "(call $open (i32.const 600) (i32.const 0) (i32.const 700))
         (if (i32.load8_u (i32.const 700)) (then unreachable))
         (local.set 1 (i32.load (i32.const 704)))
         (local.set 0 (i32.const 0))
         (loop
            (i32.store (i32.const 640) (i32.or
                (i32.and (local.get 0) (i32.const 0x7f))
                (i32.and (i32.shl (local.get 0) (i32.const 1)) (i32.const 0x7f00))))
            (call $set (local.get 1) (i32.const 640) (i32.const 2)
                (i32.const 131072) (i32.const {bytes}) (i32.const 700))
            (if (i32.load8_u (i32.const 700)) (then unreachable))
            (global.set $heap (i32.const 65536))
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get 0) (i32.const {values}))))
         i32.const 512"
    );
    let raw = Raw {
        memory: "4".to_owned(),
        imported: r#"
            (import "wasi:keyvalue/store@0.2.0-draft" "open" (func $open (param i32 i32 i32)))
            (import "wasi:keyvalue/store@0.2.0-draft" "[method]bucket.set"
                (func $set (param i32 i32 i32 i32 i32 i32)))"#
            .to_owned(),
        run: run.leak(),
        ..Raw::default()
    };
    let imports = "import wasi:keyvalue/store@0.2.0-draft;";
    load(&raw.component_for(&contract(imports, STORE)))
}

async fn run(component: &Component, grants: &Grants, keeper: &Arc<Kept>) -> Report {
    let keeper: Arc<dyn Keeper> = Arc::<Kept>::clone(keeper);
    let attempt = Attempt {
        keeper: Some(keeper),
        ..Attempt::default()
    };
    let (call, limits) = (call(), limits(5_000, 60_000));
    let report = component.invoke(&call, &limits, grants, attempt).await;
    report.unwrap()
}

/// Runs a guest with all defences, where it must trap, and then without one.
async fn succeeds_without(away: Defence, component: &Component, grants: &Grants) -> Arc<Kept> {
    let keeper = Arc::default();
    let defended = run(component, grants, &keeper).await;
    super::trapped(&defended);
    let _away = without(&[away]);
    let keeper = Arc::default();
    returned(&run(component, grants, &keeper).await);
    keeper
}

fn room(bytes: u64) -> Grants {
    Grants {
        key_value: bytes,
        ..Grants::default()
    }
}

#[tokio::test]
async fn without_room_a_module_keeps_any_number_of_keys_and_bytes() {
    let kept = succeeds_without(Defence::Room, &keeps(20, 1_000), &room(10_000)).await;
    assert!(kept.bytes() > 20_000);
    let kept = succeeds_without(Defence::Room, &keeps(10_001, 1), &room(1 << 20)).await;
    assert_eq!(kept.0.lock().unwrap().len(), 10_001);
    // With it, one fewer is kept.
    returned(&run(&keeps(10_000, 1), &room(1 << 20), &Arc::default()).await);
}

#[tokio::test]
async fn without_a_largest_value_one_is_as_large_as_the_room() {
    let component = keeps(1, 65_537);
    let kept = succeeds_without(Defence::ValueSize, &component, &room(1 << 20)).await;
    assert!(kept.bytes() > 65_536);
    let _away = without(&[Defence::ValueSize]);
    super::trapped(&run(&component, &room(60_000), &Arc::default()).await);
}

#[tokio::test]
async fn without_room_for_scratch_files_a_guest_has_as_much_as_the_host() {
    let raw = Raw {
        imported: r#"(import "celeriac:task/scratch@0.1.0" "resize"
            (func $resize (param i32 i32 i64 i32)))"#
            .to_owned(),
        more: r#"(data (i32.const 600) "file")"#.to_owned(),
        run: "
            (call $resize (i32.const 600) (i32.const 4) (i64.const 33554432) (i32.const 700))
            (if (i32.load8_u (i32.const 700)) (then unreachable))
            i32.const 512",
        ..Raw::default()
    };
    let grants = Grants {
        scratch: 1 << 20,
        ..Grants::default()
    };
    succeeds_without(Defence::Scratch, &load(&raw.component()), &grants).await;
}
