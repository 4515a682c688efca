//! Guests that read and keep: what is granted works, everything beyond is denied or full.

use crate::{attack, hostile};
use celeriac_harness::{
    Capability, Module, Outcome, Run, Target, TaskCall, Use, args, kib, mib, ms,
};

fn odd(task: &str, args: Vec<celeriac_harness::Value>) -> TaskCall {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/odd");
    Module::build(folder, Target::Wasip2).task(task).args(args)
}

fn use_of(run: &Run, capability: Capability) -> Use {
    run.usage().uses.of(capability)
}

fn denial(run: &Run) -> &str {
    assert_eq!(run.failure().kind, "StoreError");
    &run.failure().message
}

#[test]
fn a_value_is_read_only_where_it_is_granted() {
    let call = odd("greets", args!["GREETING"]).value("GREETING", "hello");
    let run = call.clone().run();
    assert_eq!(run.result(), "hello");
    let used = use_of(&run, Capability::Config);
    assert_eq!((used.calls, used.denied, used.bytes_in), (1, 0, 5));
    let run = call.args(args!["CITY"]).run();
    let words = "no grant to read the configuration value \"CITY\"";
    assert_eq!(denial(&run), words);
    // The log tells it, too.
    assert_eq!(run.log(), [words]);
    assert_eq!(
        (
            use_of(&run, Capability::Config).calls,
            use_of(&run, Capability::Config).denied
        ),
        (0, 1)
    );
    let all = hostile().task("read_all_values");
    assert_eq!(
        all.clone().value("A", "x").value("B", "y").run().result(),
        2
    );
    assert_eq!(all.run().result(), 0);
}

#[test]
fn a_secret_is_read_only_where_it_is_granted_and_a_value_is_none() {
    let call = odd("measures", args!["TOKEN"]);
    let granted = call.clone().secret("TOKEN", "hunter2").run();
    assert_eq!(granted.result(), 7);
    assert!(granted.log().is_empty());
    let run = call.value("TOKEN", "hunter2").run();
    assert_eq!(denial(&run), "no grant to read the secret \"TOKEN\"");
    let used = use_of(&run, Capability::Secrets);
    assert_eq!((used.calls, used.denied, used.bytes_in), (0, 1, 0));
}

#[test]
fn keys_are_kept_only_with_the_grant_and_its_denial_is_in_the_log() {
    let call = odd("keeps", args!["a", "new"]);
    let run = call.clone().key_value(kib(1)).kept("a", "old").run();
    assert_eq!(run.result(), "old");
    assert_eq!(run.kept()["a"], b"new");
    // The store is opened twice, read and written.
    let used = use_of(&run, Capability::KeyValue);
    assert_eq!(
        (used.calls, used.denied, used.bytes_in, used.bytes_out),
        (4, 0, 3, 5)
    );
    let run = call.kept("a", "old").run();
    assert!(denial(&run).contains("the log of the attempt names the line"));
    assert_eq!(run.log(), ["no grant for the key-value store"]);
    assert_eq!(run.kept()["a"], b"old");
    assert_eq!(use_of(&run, Capability::KeyValue).denied, 1);
}

#[test]
fn a_full_store_says_so_and_keeps_what_it_has() {
    let run = odd("fills", args![100, 10, 90]).key_value(1_000).run();
    let (kept, said): (u32, String) = run.json();
    assert_eq!(kept, 10);
    assert!(said.contains("room for 1000 bytes"), "{said}");
    assert_eq!(run.kept().len(), 10);
}

#[test]
fn the_ten_thousand_and_first_key_finds_no_room() {
    let mut call = odd("fills", args![1, 6, 0]).key_value(mib(64));
    for number in 0..10_000 {
        call = call.kept(format!("kept {number}"), "");
    }
    let (kept, said): (u32, String) = call.run().json();
    assert_eq!(kept, 0);
    assert!(said.contains("room for 10000 keys"), "{said}");
}

#[test]
fn sizes_and_names_beyond_the_limits_are_refused() {
    for (task, said) in [
        ("keep_a_batch", "kept"),
        (
            "keep_a_large_batch",
            "one call names at most 100 keys (fixed), not 101",
        ),
        (
            "keep_a_large_value",
            "a value has at most 65536 bytes (fixed), not 65537",
        ),
        (
            "keep_a_large_key",
            "a key has 1 to 512 bytes (fixed), not 513",
        ),
        (
            "keep_an_empty_key",
            "a key has 1 to 512 bytes (fixed), not 0",
        ),
        ("open_another_bucket", "no such store"),
    ] {
        let call = hostile().task(task);
        assert_eq!(
            call.clone().key_value(mib(1)).run().result(),
            said,
            "{task}"
        );
        assert_eq!(call.run().result(), "access denied", "{task}");
    }
}

#[test]
fn a_hoard_of_buckets_is_bounded() {
    let run = attack("hoard_buckets")
        .limits(|limits| limits.cpu = ms(10_000))
        .key_value(mib(1))
        .run();
    let outcome = run.outcome();
    assert!(
        matches!(outcome, Outcome::Trapped(_) | Outcome::LimitHit(_)),
        "{outcome:?}"
    );
}

#[test]
fn scratch_files_hold_what_is_granted_and_are_gone_with_the_attempt() {
    let call = odd("scribbles", args![mib(3)]);
    let run = call.clone().scratch(mib(3)).run();
    assert_eq!(run.result(), mib(3));
    assert_eq!(use_of(&run, Capability::Scratch).bytes_out, mib(3));
    let full = call.clone().scratch(mib(3) - 1).run();
    assert!(
        denial(&full).contains("room for 3145727 bytes"),
        "{}",
        denial(&full)
    );
    assert_eq!(denial(&call.run()), "no grant for scratch files");
    let litters = odd("litters", args![]).scratch(kib(4));
    for _ in 0..2 {
        assert_eq!(litters.clone().run().json::<Vec<String>>(), [""; 0]);
    }
}

#[test]
fn scratch_ends_at_its_room_and_at_a_thousand_files() {
    let fill = |task: &str| {
        let call = hostile()
            .task(task)
            .limits(|limits| limits.cpu = ms(10_000));
        call.scratch(mib(8)).run().json::<u64>()
    };
    assert_eq!(fill("fill_the_scratch"), mib(8));
    assert_eq!(fill("scratch_files_without_end"), 1_000);
}
