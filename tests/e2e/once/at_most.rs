//! Tasks for which a second run is worse than none.

use crate::{failure, stage, success};
use support::{Proxy, Rabbit, until};

fn paying(stage: &support::Stage, id: &str) {
    until("paying", || {
        (stage.stored(id)["state"] == "PAYING").then_some(())
    });
}

#[test]
fn its_message_is_gone_before_it_starts_and_a_kill_does_not_bring_it_back() {
    let stage = stage().with("worker.lease", "1s");
    stage.push("odd");
    let first = stage.dev();
    let id = stage.send("odd.pays", &["-a", "[60000]"]);
    paying(&stage, &id);
    assert_eq!(stage.tally().messages, 0);
    first.kill();
    let second = stage.dev();
    // Longer than the lease of the killed worker.
    success(&stage.call("odd.stays", "[1500]"));
    assert_eq!(stage.stored(&id)["state"], "PAYING");
    let runs = second.metric("celeriac_task_run_seconds_count", &[("task", "odd.pays")]);
    assert!(runs < 0.5, "{runs}");
}

#[test]
fn it_may_take_longer_than_a_lease() {
    let stage = stage().with("worker.lease", "1s");
    stage.push("odd");
    let _dev = stage.dev();
    assert_eq!(*success(&stage.call("odd.pays", "[3000]")), 1);
}

#[test]
fn its_caller_hears_of_a_stop_that_ended_it() {
    let stage = stage().with("worker.drain", "100ms");
    stage.push("odd");
    let dev = stage.dev();
    let id = stage.send("odd.pays", &["-a", "[60000]"]);
    paying(&stage, &id);
    assert_eq!(dev.stop().code, Some(0));
    failure(&stage.stored(&id), "billiard.exceptions.WorkerLostError");
}

/// What asks RabbitMQ whether it has all that was said: class 60, method 10, `basic.qos`.
const CONFIRM: &str = "\0<\0\n";

#[test]
fn one_whose_acknowledgement_rabbitmq_did_not_confirm_never_runs_and_is_told_of() {
    let rabbit = Rabbit::start();
    let way = Proxy::to(rabbit.port());
    let stage = stage();
    let results = format!("sqlite://{}", stage.path("results").display());
    let stage = stage
        .with("broker", &rabbit.url_through(way.port()))
        .with("result_backend", &results)
        .with("worker.consumer_timeout", "2h");
    stage.push("odd");
    let worker = stage.server(&["worker"]);
    let direct = rabbit.url();
    let call = || stage.send("odd.pays", &["-a", "[0]", "-b", &direct]);
    assert_eq!(*success(&stage.ended(&call())), 1);
    way.lose_answer_to(CONFIRM);
    let unheard = stage.ended(&call());
    let told = failure(&unheard, "billiard.exceptions.WorkerLostError");
    assert!(told.contains("did not answer"), "{told}");
    assert!(!way.is_to_lose());
    // The next comes through another connection.
    assert_eq!(*success(&stage.ended(&call())), 1);
    assert_eq!(unheard["usage"]["run_us"], 0, "{unheard}");
    assert_eq!(worker.stop().code, Some(0));
}
