use super::*;
use crate::task::{Kind, Signature};
use proptest::prelude::*;

fn json(text: &str) -> Json {
    Json::read(text).unwrap()
}

fn task(name: &str) -> Signature {
    Signature::read(&json(&format!(r#"{{"task": "{name}"}}"#))).unwrap()
}

fn with(mut signature: Signature, option: &str, value: &str) -> Signature {
    signature.options.insert(option.to_owned(), json(value));
    signature
}

fn chain(steps: &[Signature]) -> Signature {
    Signature {
        kind: Kind::Chain,
        task: "celery.chain".to_owned(),
        ..Signature::group(steps)
    }
}

fn sender() -> Sender {
    Sender {
        id: "parent".to_owned(),
        root: "root".to_owned(),
        seed: "parent:0".to_owned(),
    }
}

fn ended(embed: Embed) -> Ended {
    Ended {
        sender: sender(),
        embed,
        group: None,
    }
}

fn plan(signature: &Signature) -> Plan {
    sent(&sender(), signature, vec![json("7")]).unwrap()
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.sends.iter().map(|send| send.task.as_str()).collect()
}

fn list(signatures: &[Signature]) -> Vec<Json> {
    signatures.iter().map(Signature::json).collect()
}

#[test]
fn the_end_of_a_chain_keeps_its_own_id() {
    let named = |name: &str, id: &str| with(task(name), "task_id", &format!("\"{id}\""));
    let body = |end: Signature| {
        let steps = chain(&[task("a"), Signature::chord(&task("b"), &end)]);
        let plan = plan(&with(steps, "task_id", "\"of-the-chain\""));
        let next = Signature::read(&plan.sends[0].chain[0]).unwrap();
        let body = Signature::read(&next.part("body").unwrap()).unwrap();
        body.option("task_id").unwrap()
    };
    assert_eq!(body(named("c", "id-c")), "id-c");
    assert_eq!(body(task("c")), "of-the-chain");
    let end = |end: Signature| {
        let steps = with(chain(&[task("a"), end]), "task_id", "\"of-the-chain\"");
        let next = plan(&steps).sends[0].chain[0].clone();
        Signature::read(&next).unwrap().option("task_id").unwrap()
    };
    assert_eq!(end(named("b", "id-b")), "id-b");
    assert_eq!(end(task("b")), "of-the-chain");
}

#[test]
fn the_next_of_a_chain_gets_the_result_and_the_rest() {
    let rest = [task("c"), with(task("b"), "task_id", "\"id-b\"")];
    let embed = Embed {
        chain: list(&rest),
        ..Embed::default()
    };
    let plan = after_success(ended(embed), &json("1.00")).unwrap();
    let [send] = plan.sends.as_slice() else {
        panic!("{plan:?}");
    };
    assert_eq!((send.task.as_str(), send.id.as_str()), ("b", "id-b"));
    assert_eq!(send.before, [json("1.00")]);
    assert_eq!(send.chain, list(&rest[..1]));
    assert_eq!(
        (send.parent.as_str(), send.root.as_str()),
        ("parent", "root")
    );
    assert_eq!(plan.children, [json(r#"[["id-b", null], null]"#)]);
}

#[test]
fn an_immutable_signature_gets_no_result() {
    let immutable = Signature {
        immutable: true,
        ..task("b")
    };
    assert_eq!(plan(&immutable).sends[0].before, []);
}

#[test]
fn several_callbacks_are_sent_as_a_group_and_one_as_it_is() {
    let one = Embed {
        callbacks: list(&[task("a")]),
        ..Embed::default()
    };
    let plan = after_success(ended(one), &json("1")).unwrap();
    assert_eq!(plan.sends[0].group, None);
    let many = Embed {
        callbacks: list(&[task("a"), Signature::group(&[task("g")]), task("b")]),
        ..Embed::default()
    };
    let plan = after_success(ended(many), &json("1")).unwrap();
    assert_eq!(names(&plan), ["g", "a", "b"]);
    assert_eq!(plan.sends[1].group, plan.sends[2].group);
    assert_ne!(plan.sends[0].group, plan.sends[1].group);
    assert_eq!(plan.sends[2].group_index, Some(1));
}

#[test]
fn a_failure_fails_the_rest_of_the_chain_and_tells_the_errbacks() {
    let chord = Signature::chord(
        &Signature::group(&[with(task("header"), "task_id", "\"h\"")]),
        &with(task("body"), "task_id", "\"body\""),
    );
    let rest = [with(task("c"), "task_id", "\"c\""), chord, task("nameless")];
    let embed = Embed {
        chain: list(&rest),
        errbacks: list(&[task("errback"), task("another")]),
        ..Embed::default()
    };
    let exception = Exception::new("builtins", "ValueError", "boom");
    let plan = after_failure(&ended(embed), &exception);
    let failed: Vec<&str> = plan
        .failures
        .iter()
        .map(|failed| failed.id.as_str())
        .collect();
    assert_eq!(failed, ["c", "body"]);
    assert_eq!(names(&plan), ["errback", "another"]);
    assert_eq!(plan.sends[0].before, [json("\"parent\"")]);
    assert_eq!(plan.children, []);
}

#[test]
fn a_member_of_a_chord_whose_chain_fails_is_its_part() {
    let member = with(task("c"), "task_id", "\"c\"");
    let member = with(with(member, "group_id", "\"g\""), "group_index", "4");
    let member = with(member, "chord", r#"{"task": "body"}"#);
    let embed = Embed {
        chain: list(&[member]),
        ..Embed::default()
    };
    let exception = Exception::new("builtins", "ValueError", "boom");
    let plan = after_failure(&ended(embed), &exception);
    let [part] = plan.parts.as_slice() else {
        panic!("{plan:?}");
    };
    assert_eq!(
        (part.group.as_str(), part.index, part.id.as_str()),
        ("g", Some(4), "c")
    );
}

#[test]
fn a_group_and_what_follows_it_is_a_chord() {
    let group = Signature::group(&[task("a"), Signature::group(&[task("b"), task("c")])]);
    let plan = plan(&chain(&[group, task("d"), task("e")]));
    assert_eq!(names(&plan), ["a", "b", "c"]);
    let [expected] = plan.expected.as_slice() else {
        panic!("{plan:?}");
    };
    assert_eq!((expected.size, expected.is_nested), (3, false));
    let body = Signature::read(plan.sends[0].chord.as_ref().unwrap()).unwrap();
    assert_eq!(body.task, "d");
    assert_eq!(body.option("group_id").as_ref(), Some(&expected.group));
    let rest = body.listed("chain");
    assert_eq!(Signature::read(&rest[0]).unwrap().task, "e");
    for (index, send) in (0..).zip(&plan.sends) {
        assert_eq!(send.group.as_ref(), Some(&expected.group));
        assert_eq!(send.group_index, Some(index));
        assert_eq!(send.before, [json("7")]);
        assert_eq!(send.chain, []);
    }
}

#[test]
fn a_chord_within_a_chord_counts_as_its_body() {
    let inner = Signature::chord(&Signature::group(&[task("a"), task("b")]), &task("inner"));
    let outer = Signature::chord(&Signature::group(&[inner, task("c")]), &task("outer"));
    let plan = plan(&outer);
    let sizes: Vec<u64> = plan.expected.iter().map(|expected| expected.size).collect();
    assert_eq!((sizes, names(&plan)), (vec![2, 2], vec!["a", "b", "c"]));
    let inner = Signature::read(plan.sends[0].chord.as_ref().unwrap()).unwrap();
    let outer = Signature::read(inner.options.get("chord").unwrap()).unwrap();
    assert_eq!(outer.task, "outer");
    assert_eq!(inner.option("group_id"), plan.sends[2].group);
    assert_eq!(inner.options["group_index"].as_str(), "0");
}

#[test]
fn a_header_that_ends_in_a_group_keeps_its_shape() {
    let ends_in_group = chain(&[task("a"), Signature::group(&[task("b"), task("c")])]);
    let chord = Signature::chord(&Signature::group(&[ends_in_group, task("d")]), &task("e"));
    let plan = plan(&chord);
    let expected = &plan.expected[0];
    assert_eq!((expected.size, expected.is_nested), (3, true));
    let ids = expected.results.items().unwrap()[1].items().unwrap();
    let nested = ids[0].items().unwrap()[1].items().unwrap();
    let id = |tuple: &Json| {
        tuple.items().unwrap()[0].items().unwrap()[0]
            .parse::<String>()
            .unwrap()
    };
    let parts = [
        (id(&nested[1]), Ok(json("2"))),
        (id(&nested[0]), Ok(json("1"))),
        (id(&ids[1]), Ok(json("3"))),
    ];
    let results = joined(parts.to_vec(), Some(expected.results.clone())).unwrap();
    assert_eq!(results, json("[[1, 2], 3]"));
    let missing = joined(parts[..2].to_vec(), Some(expected.results.clone()));
    assert!(matches!(missing, Err(Unjoined::Join(reason)) if reason.contains("missing")));
}

#[test]
fn an_empty_header_sends_the_body_at_once() {
    let plan = plan(&Signature::chord(&Signature::group(&[]), &task("body")));
    assert_eq!(names(&plan), ["body"]);
    assert_eq!(plan.sends[0].before, [json("[]")]);
    assert_eq!(plan.expected, []);
}

#[test]
fn a_header_of_which_nothing_tells_its_end_holds_nobody_up() {
    let silent = Signature::chord(&Signature::group(&[task("a")]), &chain(&[]));
    let plan = plan(&Signature::chord(
        &Signature::group(&[silent]),
        &task("body"),
    ));
    assert_eq!(names(&plan), ["a", "body"]);
    let sizes: Vec<u64> = plan.expected.iter().map(|chord| chord.size).collect();
    assert_eq!(sizes, [1]);
}

#[test]
fn chunks_are_a_group_of_starmaps() {
    let document = r#"{"task": "celery.chunks", "subtask_type": "chunks", "immutable": true,
        "kwargs": {"task": {"task": "add"}, "it": [[1, 1], [2, 2], [3, 3]], "n": 2}}"#;
    let plan = plan(&Signature::read(&json(document)).unwrap());
    assert_eq!(names(&plan), ["celery.starmap"; 2]);
    assert!(plan.sends[1].kwargs.as_str().contains("[[3, 3]]"));
    for n in ["0", "-1", "\"2\"", "null"] {
        let wrong = document.replace("\"n\": 2", &format!("\"n\": {n}"));
        let wrong = Signature::read(&json(&wrong)).unwrap();
        assert!(sent(&sender(), &wrong, vec![]).is_err(), "{n}");
    }
}

#[test]
fn a_failed_part_fails_the_body_its_chain_and_tells_its_errbacks() {
    let body = with(task("body"), "task_id", "\"body\"");
    let body = with(body, "link_error", r#"[{"task": "errback"}]"#);
    let body = with(
        body,
        "chain",
        r#"[{"task": "after", "options": {"task_id": "after"}}]"#,
    );
    let part = Unjoined::Part {
        id: "p".to_owned(),
        exception: Exception::new("builtins", "ValueError", "it's"),
    };
    let plan = after_chord(&sender(), &body.json(), Err(part));
    let failed: Vec<&str> = plan
        .failures
        .iter()
        .map(|failed| failed.id.as_str())
        .collect();
    assert_eq!(failed, ["body", "after"]);
    assert_eq!(
        plan.failures[0].exception.message,
        r"Dependency p raised ValueError('it\'s')"
    );
    assert_eq!(names(&plan), ["errback"]);
    assert_eq!(
        (
            plan.sends[0].before[0].as_str(),
            plan.sends[0].parent.as_str()
        ),
        ("\"body\"", "body")
    );
}

#[test]
fn garbage_is_a_failure_that_names_it() {
    for (document, words) in [
        (
            r#"{"task": "a", "options": {"countdown": "soon"}}"#,
            "countdown",
        ),
        (r#"{"task": "g", "subtask_type": "group"}"#, "tasks"),
        (
            r#"{"task": "g", "subtask_type": "group", "kwargs": {"tasks": 7}}"#,
            "list of tasks",
        ),
        (
            r#"{"task": "g", "subtask_type": "group", "kwargs": {"tasks": [7]}}"#,
            "no signature",
        ),
        (
            r#"{"task": "c", "subtask_type": "chord", "kwargs": {"header": []}}"#,
            "body",
        ),
        (
            r#"{"task": "c", "subtask_type": "chord", "kwargs": {"body": {"task": "b"}}}"#,
            "header",
        ),
    ] {
        let embed = Embed {
            callbacks: vec![json(document)],
            ..Embed::default()
        };
        let error = after_success(ended(embed.clone()), &json("1")).unwrap_err();
        assert!(error.to_string().contains(words), "{document}: {error}");
        assert_eq!(error.exception().class, "InvalidSignature");
        // Whoever else waits is told all the same.
        let failed = after_failure(&ended(embed), &error.exception());
        assert!(failed.is_empty());
    }
    assert!(Embed::read("[]").is_err() && Embed::read(r#"{"chain": 7}"#).is_ok());
}

#[test]
fn what_is_nested_too_deep_or_stands_for_too_many_is_refused() {
    for wrap in [
        |inner: &Signature| Signature::group(&[inner.clone(), task("x")]),
        |inner: &Signature| chain(&[inner.clone(), task("x")]),
        |inner: &Signature| {
            Signature::chord(&Signature::group(&[inner.clone(), task("x")]), &task("b"))
        },
        |inner: &Signature| Signature::chord(&Signature::group(&[task("x")]), inner),
    ] {
        let mut deep = task("a");
        for _ in 0..DEPTH / 8 {
            deep = wrap(&deep);
        }
        assert!(sent(&sender(), &deep, vec![]).is_ok());
        for _ in 0..2 * DEPTH {
            deep = wrap(&deep);
        }
        assert_eq!(sent(&sender(), &deep, vec![]), Err(CanvasError::Deep));
    }
    // Not taken apart before it is counted, whatever its items are.
    let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    for embed in ["callbacks", "errbacks", "chain"] {
        let read = |count| Embed::read(&format!(r#"{{"{embed}": {}}}"#, zeros(count)));
        assert!(read(MESSAGES).is_ok());
        assert_eq!(read(MESSAGES + 1), Err(CanvasError::Many));
    }
    let args = format!(r#"{{"task": "a", "args": {}}}"#, zeros((2 << 20) + 1));
    let refused = Signature::read(&json(&args)).unwrap_err();
    assert!(refused.reason.contains("2097152 arguments"), "{refused}");
    let many = Signature::group(&vec![task("a"); MESSAGES + 1]);
    assert_eq!(sent(&sender(), &many, vec![]), Err(CanvasError::Many));
    assert_eq!(
        plan(&Signature::group(&vec![task("a"); 1_000])).sends.len(),
        1_000
    );
}

#[test]
fn what_is_to_follow_is_read_unless_most_of_it_is_nested_deep() {
    let nested = |levels: usize, inner: &str| {
        let (left, right) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"chain": [{left}"{inner}"{right}]}}"#)
    };
    let text = "x".repeat(1 << 20);
    // Two more are around it; the bytes of the brackets themselves are less than one.
    let most = usize::try_from(LEVELS + (AROUND >> 20)).unwrap() - 2;
    assert!(Embed::read(&nested(most - 1, &text)).is_ok());
    for (levels, text) in [(most + 1, text.as_str()), (10_000, "")] {
        let read = Embed::read(&nested(levels, text));
        assert_eq!(read, Err(CanvasError::Heavy), "{levels}");
    }
    // Brackets in texts are none, whatever was escaped before.
    let text = format!(r#"{{"chain": ["\\\"{}"]}}"#, "[".repeat(10_000));
    assert!(Embed::read(&text).is_ok());
}

fn signatures() -> impl Strategy<Value = Signature> {
    let leaf = "[a-c]".prop_map(|name| task(&name));
    leaf.prop_recursive(4, 24, 3, |inner| {
        let some = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            some.clone().prop_map(|some| Signature::group(&some)),
            some.clone().prop_map(|some| chain(&some)),
            (some, inner)
                .prop_map(|(some, body)| Signature::chord(&Signature::group(&some), &body)),
        ]
    })
}

proptest! {
    /// A chord is complete when each of its messages, and each body, has told its part.
    #[test]
    fn every_chord_waits_for_as_many_parts_as_are_told(signature in signatures()) {
        let first = sent(&sender(), &signature, vec![]).unwrap();
        prop_assert_eq!(&first, &sent(&sender(), &signature, vec![]).unwrap());
        let mut waits: std::collections::HashMap<String, u64> = Default::default();
        let mut plans = vec![first];
        let mut messages = 0;
        while let Some(plan) = plans.pop() {
            for expected in plan.expected {
                prop_assert!(expected.size > 0);
                prop_assert_eq!(waits.insert(expected.group, expected.size), None);
            }
            for send in plan.sends {
                messages += 1;
                prop_assert!(messages < 10_000);
                let ended = Ended {
                    sender: Sender { id: send.id.clone(), root: send.root, seed: send.id },
                    embed: Embed {
                        callbacks: send.callbacks,
                        errbacks: send.errbacks,
                        chain: send.chain,
                        chord: send.chord,
                    },
                    group: send.group.map(|group| (group, send.group_index)),
                };
                plans.push(after_success(ended, &json("1")).unwrap());
            }
            for part in plan.parts {
                let left = waits.get_mut(&part.group);
                prop_assert!(left.is_some(), "{part:?} was not announced");
                let left = left.unwrap();
                *left -= 1;
                if *left == 0 {
                    let sender = Sender { seed: format!("chord:{}", part.group), ..sender() };
                    plans.push(after_chord(&sender, &part.body, Ok(json("[]"))));
                }
            }
        }
        prop_assert!(waits.values().all(|left| *left == 0), "{:?}", waits);
    }
}
