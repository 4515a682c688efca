//! The tasks in the sandbox, built for both targets.

use celeriac_harness::*;

/// The module for each target: with WASI, and without.
fn modules() -> [Module; 2] {
    [module!(), module!(Target::Unknown)]
}

#[test]
fn every_task_works_on_both_targets() {
    for module in modules() {
        let rows = [
            (
                "word_count",
                args!["a b a"],
                kwargs! { unique: true },
                json!(2),
            ),
            (
                "slugify",
                args!["Hello, World!"],
                kwargs! { separator: "_" },
                json!("hello_world"),
            ),
            (
                "top_words",
                args!["b a b", 1],
                kwargs! {},
                json!([{ "word": "b", "count": 2 }]),
            ),
            (
                "join",
                args!["a", "b"],
                kwargs! { separator: "+" },
                json!("a+b"),
            ),
            (
                "render",
                args!["{x} is {y}"],
                kwargs! { x: "pi", y: 3.5 },
                json!("pi is 3.5"),
            ),
            (
                "echo",
                args![{ json!({ "a": [null, 1.5] }) }],
                kwargs! {},
                json!({ "a": [null, 1.5] }),
            ),
        ];
        for (task, args, kwargs, wanted) in rows {
            let run = module.task(task).args(args).kwargs(kwargs).run();
            assert_eq!(run.result(), wanted, "{task}");
        }
    }
}

#[test]
fn without_wasi_nothing_but_the_contract_is_imported() {
    let module = module!(Target::Unknown);
    let strange: Vec<_> = module
        .imports()
        .iter()
        .filter(|name| !name.starts_with("celeriac:task/"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn a_call_that_does_not_fit_is_told_as_python_tells_it() {
    for module in modules() {
        let missing = module.call("word_count", args![]);
        assert_eq!(missing.failure().kind, "TypeError");
        assert_eq!(
            missing.failure().message,
            "word_count() missing 1 required positional argument: 'text'"
        );
        let wrong = module.call("word_count", args![3]);
        assert_eq!(
            wrong.failure().message,
            "word_count() argument 'text': invalid type: integer `3`, expected a string"
        );
    }
}

#[test]
fn a_small_task_stays_far_below_its_limits() {
    for module in modules() {
        let run = module.call("word_count", args!["to be or not to be"]);
        assert_eq!(run.result(), 6);
        assert_eq!(run.limits().memory, mib(16));
        assert!(run.peak_memory() < kib(512), "{}", run.peak_memory());
        assert!(run.log().is_empty());
    }
}

#[test]
fn a_result_over_what_the_task_asked_for_is_ended() {
    let module = module!();
    let run = module
        .task("word_count")
        .args(args!["a"])
        .limits(|limits| limits.result_bytes = 0)
        .run();
    assert_eq!(run.limit(), Limit::Result);
}
