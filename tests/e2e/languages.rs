//! One component of each language that makes them: the bounds have room for honest
//! guests, whatever they bring along.

use crate::{failure, stage, success};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Stage, until};

/// The names of the components, what each makes of a text, and the class of its failure.
fn languages() -> [(&'static str, Value, &'static str); 4] {
    let counted = json!({"a": 2, "b": 1});
    [
        ("rust", counted.clone(), "builtins.ValueError"),
        ("c", json!(3), "builtins.ArithmeticError"),
        ("javascript", counted.clone(), "builtins.TypeError"),
        ("python", counted, "builtins.ValueError"),
    ]
}

/// Pushes a component, as often as a busy machine asks for it.
fn push(stage: &Stage, language: &str) {
    let file = stage.component(language).display().to_string();
    let pushed = (0..5).any(|_| {
        let ran = stage.run(&["push", &file, "--name", language, "--json"]);
        let busy = ran
            .out
            .contains("this machine is too busy, push again later");
        assert!(busy || ran.code == 0, "{ran}");
        !busy
    });
    assert!(pushed, "{language}: the machine stays too busy");
}

/// Checks that a component does what honest ones do, on a worker that runs.
fn assert_works(stage: &Stage, language: &str, words: &Value, class: &str) {
    let name = |task: &str| format!("{language}.{task}");
    assert_eq!(
        *success(&stage.call(&name("add"), "[20, 22]")),
        42,
        "{language}"
    );
    let ended = stage.call(&name("words"), r#"["a b  a"]"#);
    assert_eq!(success(&ended), words, "{language}");
    assert!(ended["log"].to_string().contains("counted"), "{ended}");
    let ended = stage.call(&name("fails"), "[]");
    assert!(
        failure(&ended, class).contains("as it was told to"),
        "{ended}"
    );
    assert_stops(stage, language);
}

/// Checks that a task tells how far it is, and stops when it is asked to.
fn assert_stops(stage: &Stage, language: &str) {
    let id = stage.send(&format!("{language}.waits"), &[]);
    let seen = until("its progress is seen", || {
        Some(stage.stored(&id)).filter(|stored| stored["state"] == "PROGRESS")
    });
    let progress = json!({"current": 1, "total": 2, "message": "waiting"});
    assert_eq!(seen["result"], progress, "{language}");
    stage.json(&["revoke", &id, "--terminate"]);
    let ended = stage.ended(&id);
    assert_eq!(ended["state"], "REVOKED", "{language}: {ended}");
}

/// One test, because compiling Python takes ten seconds.
#[test]
fn components_of_each_language_are_pushed_and_called_alone_and_beside_each_other() {
    let stage = stage();
    let _dev = stage.dev();
    for (language, words, class) in languages() {
        push(&stage, language);
        assert_works(&stage, language, &words, class);
    }
    let sent: BTreeMap<String, &str> = (0..10)
        .flat_map(|_| languages().map(|(language, ..)| language))
        .map(|language| {
            let id = stage.send(&format!("{language}.add"), &["-a", "[1, 2]"]);
            (id, language)
        })
        .collect();
    for (id, language) in sent {
        assert_eq!(*success(&stage.ended(&id)), 3, "{language}");
    }
}
