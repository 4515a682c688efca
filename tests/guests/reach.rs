//! Guests that reach for what nobody granted.

use crate::attack;
use celeriac_harness::{Outcome, ms};

#[test]
fn files_sockets_and_standard_input_are_out_of_reach() {
    for task in ["read_a_file", "write_a_file", "list_files", "open_a_socket"] {
        assert_eq!(attack(task).run().failure().kind, "OSError", "{task}");
    }
    let run = attack("read_stdin").run();
    assert_eq!(run.result(), "0");
}

#[test]
fn the_environment_and_the_arguments_of_the_host_are_hidden() {
    for task in ["environment", "arguments"] {
        assert_eq!(attack(task).run().result(), 0, "{task}");
    }
}

#[test]
fn headers_nobody_chose_to_show_are_hidden() {
    assert_eq!(attack("secret_header").run().result(), false);
    assert_eq!(
        attack("secret_header")
            .header("authorization", "x")
            .run()
            .result(),
        true
    );
}

#[test]
fn more_random_bytes_than_a_call_may_have_end_the_guest() {
    let run = attack("too_much_random").run();
    assert!(
        matches!(run.outcome(), Outcome::Trapped(_) | Outcome::LimitHit(_)),
        "{:?}",
        run.outcome()
    );
    assert_eq!(attack("much_random_in_pieces").run().result(), true);
}

#[test]
fn submitting_without_a_grant_is_denied() {
    assert_eq!(
        attack("submit_bomb")
            .limits(|limits| limits.cpu = ms(10_000))
            .run()
            .result(),
        0
    );
}

#[test]
fn a_grant_to_submit_ends_at_a_hundred() {
    let run = attack("submit_bomb")
        .limits(|limits| limits.cpu = ms(10_000))
        .may_submit("hostile.*")
        .run();
    assert_eq!(run.result(), 100);
    assert_eq!(run.submitted().len(), 100);
}

#[test]
fn a_hoard_of_handles_is_bounded() {
    let run = attack("hoard_jobs")
        .limits(|limits| limits.cpu = ms(10_000))
        .run();
    assert!(
        matches!(run.outcome(), Outcome::Trapped(_) | Outcome::LimitHit(_)),
        "{:?}",
        run.outcome()
    );
}
