//! Every ending but a result, as a worker sees it.

use celeriac_harness::*;

#[test]
fn a_retry_is_asked_for_until_there_were_enough() {
    let module = module!();
    let first = module.task("fails_until").args(args![2, 50]).run();
    assert_eq!(first.retry().countdown, Some(ms(50)));
    assert_eq!(first.retry().reason.kind, "ConnectionError");
    assert_eq!(first.log(), ["the upstream is down"]);
    let last = module.task("fails_until").args(args![2]).retries(2).run();
    assert_eq!(last.result(), "succeeded after 2 retries");
}

#[test]
fn a_plain_failure_leaves_the_retry_to_the_policy() {
    let module = module!();
    let run = module.call("connects", args![1]);
    assert_eq!(run.failure().kind, "ConnectionError");
    let policy = module
        .tasks()
        .iter()
        .find(|task| task.name == "connects")
        .and_then(|task| task.retry.clone());
    let policy = policy.expect("it has a policy of its own");
    assert_eq!(
        (policy.max_retries, policy.retry_kinds),
        (Some(2), vec!["ConnectionError".to_owned()])
    );
}

#[test]
fn errors_of_a_library_and_of_ones_own_reach_the_caller() {
    let module = module!();
    let run = module.call("parses", args!["x"]);
    assert_eq!(run.failure().kind, "ParseIntError");
    assert_eq!(run.failure().message, "invalid digit found in string");
    let run = module.call("fails", args!["ValueError", "no"]);
    assert_eq!(
        (run.failure().kind.as_str(), run.failure().message.as_str()),
        ("ValueError", "no")
    );
}

#[test]
fn a_message_can_be_refused_given_back_or_ignored() {
    let module = module!();
    assert!(!module.call("rejects", args!["poison"]).rejection().requeue);
    assert!(
        module
            .task("rejects")
            .args(args!["busy"])
            .kwargs(kwargs! { requeue: true })
            .run()
            .rejection()
            .requeue
    );
    assert_eq!(module.call("ignores", args![]).outcome(), &Outcome::Ignore);
}

#[test]
fn the_text_of_a_panic_is_kept_on_both_targets() {
    for module in [module!(), module!(Target::Unknown)] {
        let run = module.call("panics", args!["the tank is empty"]);
        assert!(run.trap().panicked, "{:?}", run.trap());
        assert!(
            run.trap().message.contains("the tank is empty"),
            "{:?}",
            run.trap()
        );
    }
}

#[test]
fn a_second_delivery_is_seen() {
    let module = module!();
    let run = module
        .task("charges_a_card")
        .args(args![250])
        .id("card-1")
        .run();
    assert_eq!(run.result(), "charged 250 cents for card-1");
    let again = module
        .task("charges_a_card")
        .args(args![250])
        .deliveries(2)
        .run();
    assert_eq!(again.failure().kind, "RuntimeError");
    assert!(
        module
            .tasks()
            .iter()
            .any(|task| task.name == "charges_a_card" && task.at_most_once)
    );
}
