use super::*;

fn outbox() -> Outbox {
    let grants = Grants {
        submit: vec!["a.*".to_owned()],
        ..Grants::default()
    };
    Outbox::new(Arc::new(grants), 4 << 20)
}

fn draft(outbox: &mut Outbox) -> Draft {
    outbox.draft("a.b".to_owned(), b"[]".to_vec(), b"{}".to_vec())
}

/// Submits as the host does, with the number as the id.
fn submit(outbox: &mut Outbox, draft: Draft, when: When) -> Result<String, SubmitError> {
    match outbox.job(draft, when)? {
        Step::Known(id) => Ok(id),
        Step::Send(wish, index) => {
            let id = index.to_string();
            outbox.accepted(&id, wish, when, index);
            Ok(id)
        }
    }
}

#[test]
fn the_hundred_and_first_task_is_over_the_quota() {
    let mut outbox = outbox();
    for number in 0..SUBMITS {
        let draft = draft(&mut outbox);
        let id = submit(&mut outbox, draft, When::Now).unwrap();
        assert_eq!(id, number.to_string());
    }
    let one_more = draft(&mut outbox);
    assert_eq!(
        submit(&mut outbox, one_more, When::Now),
        Err(SubmitError::too_many(SUBMITS + 1))
    );
    let signature = br#"{"task": "a.b"}"#.to_vec();
    assert!(matches!(
        outbox.signature(signature.clone(), When::Now),
        Err(SubmitError::QuotaExceeded(_))
    ));
    let over = SubmitError::too_many(SUBMITS + 1);
    assert_eq!(
        over.note(),
        Some("it would be 101 tasks of this attempt; one attempt sends at most 100 (fixed)")
    );
    assert_eq!(outbox.replacement(signature), Err(over));
}

#[test]
fn jobs_with_one_key_are_one() {
    let mut outbox = outbox();
    let mut keyed = |key: &str| {
        let mut draft = draft(&mut outbox);
        outbox.key(&mut draft, key.to_owned());
        submit(&mut outbox, draft, When::OnSuccess).unwrap()
    };
    let (first, second, other) = (keyed("k"), keyed("k"), keyed("l"));
    assert_eq!(first, second);
    assert_ne!(first, other);
    assert_eq!(outbox.take().on_success.len(), 2);
}

#[test]
fn what_is_over_a_limit_of_size_is_too_large_and_what_reaches_it_is_not() {
    type Change = fn(&mut Outbox, &mut Draft, usize);
    let limits: [(&str, usize, Change); 4] = [
        ("the name of a queue", QUEUE_BYTES, |outbox, draft, n| {
            outbox.queue(draft, "q".repeat(n));
        }),
        ("an idempotency key", KEY_BYTES, |outbox, draft, n| {
            outbox.key(draft, "k".repeat(n));
        }),
        (
            "the name of a header",
            HEADER_NAME_BYTES,
            |outbox, draft, n| {
                outbox.header(draft, "n".repeat(n), String::new());
            },
        ),
        ("a header", HEADER_BYTES, |outbox, draft, n| {
            outbox.header(draft, "n".to_owned(), "v".repeat(n));
        }),
    ];
    for (what, most, change) in limits {
        let over = SubmitError::too_long(what, most + 1, most);
        for (bytes, expected) in [(most, None), (most + 1, Some(over))] {
            let mut outbox = outbox();
            let mut draft = draft(&mut outbox);
            change(&mut outbox, &mut draft, bytes);
            assert_eq!(
                submit(&mut outbox, draft, When::Now).err(),
                expected,
                "{bytes}"
            );
        }
    }
    let mut outbox = outbox();
    let mut draft = draft(&mut outbox);
    for number in 0..=HEADERS {
        outbox.header(&mut draft, format!("x-{number}"), String::new());
    }
    assert_eq!(
        submit(&mut outbox, draft, When::Now),
        Err(SubmitError::TooLarge(
            "a job has at most 32 headers (fixed)".to_owned()
        ))
    );
}

#[test]
fn arguments_and_names_over_their_limits_are_too_large() {
    let mut outbox = outbox();
    let text = |bytes: usize| format!("[\"{}\"]", "x".repeat(bytes - 4)).into_bytes();
    let kwargs = || b"{}".to_vec();
    let most = 4 << 20;
    let fits = outbox.draft("a.b".to_owned(), text(most - 2), kwargs());
    assert!(submit(&mut outbox, fits, When::Now).is_ok());
    let over = outbox.draft("a.b".to_owned(), text(most - 1), kwargs());
    assert_eq!(
        submit(&mut outbox, over, When::Now),
        Err(SubmitError::TooLarge(
            "the arguments have 4194305 bytes; limits.arguments allows 4194304".to_owned()
        ))
    );
    let name = format!("a.{}", "x".repeat(TASK_BYTES - 1));
    let over = outbox.draft(name, b"[]".to_vec(), kwargs());
    assert_eq!(
        submit(&mut outbox, over, When::Now),
        Err(SubmitError::TooLarge(
            "the name of a task has 513 bytes; at most 512 are allowed (fixed)".to_owned()
        ))
    );
}

#[test]
fn jobs_that_are_held_have_room_for_16_mebibytes_and_free_it() {
    let mut outbox = outbox();
    let large = format!("[\"{}\"]", "x".repeat((4 << 20) - 100)).into_bytes();
    let make = |outbox: &mut Outbox| outbox.draft("a.b".to_owned(), large.clone(), b"{}".to_vec());
    let held: Vec<Draft> = (0..4).map(|_| make(&mut outbox)).collect();
    let fifth = make(&mut outbox);
    assert_eq!(fifth.wrong, Some(SubmitError::too_much()));
    for draft in held {
        assert!(submit(&mut outbox, draft, When::Now).is_ok());
    }
    for _ in 0..4 {
        let draft = make(&mut outbox);
        assert!(submit(&mut outbox, draft, When::OnSuccess).is_ok());
    }
    let fifth = make(&mut outbox);
    assert_eq!(
        submit(&mut outbox, fifth, When::OnSuccess),
        Err(SubmitError::too_much())
    );
}

#[test]
fn what_is_not_granted_or_no_json_is_denied_with_the_reason() {
    let mut outbox = outbox();
    for (task, args, kwargs, words) in [
        ("b.c", "[]", "{}", "no grant to send the task \"b.c\""),
        ("a.b", "{}", "{}", "positional"),
        ("a.b", "[", "{}", "positional"),
        ("a.b", "[]", "[]", "keyword"),
        ("a.\n", "[]", "{}", "control"),
    ] {
        let draft = outbox.draft(task.to_owned(), args.into(), kwargs.into());
        let Err(SubmitError::Denied(reason)) = submit(&mut outbox, draft, When::Now) else {
            panic!("{task} {args} {kwargs} is sent");
        };
        assert!(reason.contains(words), "{reason}");
    }
    let hidden = br#"{"task": "a.b", "options": {"link": {"task": "b.c"}}}"#.to_vec();
    assert!(matches!(
        outbox.signature(hidden, When::Now),
        Err(SubmitError::Denied(_))
    ));
}

#[test]
fn a_refusal_is_news_once_however_often_it_is_met() {
    let mut outbox = outbox();
    let notes = ["a", "a", "b", "a"].map(|note| outbox.is_news(note));
    assert_eq!(notes, [true, false, true, true]);
}
