//! Tasks that send others, in the sandbox: with the grant and without.

use celeriac_harness::*;

#[test]
fn an_order_sends_what_it_is_granted() {
    let run = module!()
        .task("order")
        .args(args![17, ["tea", "tea", "cup"]])
        .may_submit("shop.*")
        .run();
    assert_eq!(run.result(), 3);
    let sent = run.submitted();
    let tasks: Vec<_> = sent.iter().map(|one| (one.task(), one.when)).collect();
    // Two of the items have one key.
    assert_eq!(
        tasks,
        [
            ("shop.reserve", When::Now),
            ("shop.reserve", When::Now),
            ("shop.receipt", When::OnSuccess),
        ]
    );
    assert_eq!(sent[2].args(), json!([17]));
    assert_eq!(sent[2].kwargs()["items"][1], "tea");
}

#[test]
fn without_the_grant_nothing_is_sent_and_the_failure_says_so() {
    let run = module!().call("order", args![17, ["tea"]]);
    assert_eq!(run.failure().kind, "SubmitError");
    assert!(
        run.failure()
            .message
            .contains("no grant to send the task \"shop.reserve\""),
        "{}",
        run.failure().message
    );
    assert!(run.submitted().is_empty());
}

#[test]
fn a_chain_with_a_chord_is_one_signature() {
    let run = module!()
        .task("ship")
        .args(args![17, ["tea", "cup"]])
        .may_submit("shop.*")
        .run();
    let sent = run.submitted();
    assert_eq!((sent.len(), sent[0].task()), (1, "celery.chain"));
    assert_eq!(run.result(), sent[0].id.as_str());
    let steps = &sent[0].kwargs()["tasks"];
    assert_eq!(
        (&steps[0]["subtask_type"], &steps[1]["immutable"]),
        (&json!("chord"), &json!(true))
    );
}

#[test]
fn a_large_quote_is_handed_over() {
    let call = module!().task("quote").may_submit("shop.receipt");
    let run = call.clone().args(args![["a", "b", "c"]]).run();
    assert_eq!(run.outcome(), &Outcome::Ignore);
    let taken = run.replacement().expect("a replacement");
    assert_eq!(taken["task"], "shop.receipt");
    assert!(call.args(args![["a"]]).run().replacement().is_none());
}
