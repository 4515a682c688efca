//! A long task in the sandbox: it waits without a thread, and stops when asked.

use celeriac_harness::*;

#[test]
fn a_report_tells_its_progress_page_by_page() {
    let run = module!().call("build", args!["Sales", 3, 1]);
    assert_eq!(
        (&run.result()["title"], &run.result()["pages"]),
        (&json!("Sales"), &json!(3))
    );
    assert_eq!(run.log(), ["started", "finished"]);
    let last: Value = serde_json::from_str(&run.progress()[2].meta).expect("meta is JSON");
    assert_eq!(
        last,
        json!({ "current": 3, "total": 3, "message": "wrote page 3" })
    );
}

#[test]
fn a_wait_costs_time_but_no_cpu() {
    let run = module!().call("nap", args![200]);
    assert_eq!(run.result(), 200);
    assert!(
        run.wall() >= ms(200) && run.cpu() < ms(50),
        "{:?} {:?}",
        run.wall(),
        run.cpu()
    );
}

#[test]
fn the_soft_time_limit_stops_it_between_two_pages() {
    let call = module!().task("build").args(args!["Sales", 10_000, 5]);
    let run = call.limits(|limits| limits.soft = Some(ms(50))).run();
    assert_eq!(run.interruption(), Interruption::SoftLimit);
    assert!(!run.log().contains(&"finished"));
}

#[test]
fn a_draining_worker_gets_a_retry_and_a_revoke_ends_it() {
    let parcels: Vec<String> = (0..1_000).map(|n| format!("parcel {n}")).collect();
    let call = module!().task("pack").args(args![parcels, 10]);
    let drained = call
        .clone()
        .interrupt_after(ms(30), Interruption::Shutdown)
        .run();
    assert_eq!(drained.retry().countdown, Some(ms(1_000)));
    assert_eq!(drained.progress()[0].state, "PACKING");
    let revoked = call.interrupt_after(ms(30), Interruption::Cancelled).run();
    assert_eq!(revoked.interruption(), Interruption::Cancelled);
}

#[test]
fn the_hard_time_limit_ends_what_does_not_stop() {
    let run = module!()
        .task("nap")
        .args(args![60_000])
        .limits(|limits| limits.wall = ms(30))
        .run();
    assert_eq!(run.limit(), Limit::Wall);
}
