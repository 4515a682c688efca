//! The tasks in the sandbox: their results, and the limits that end them.

use celeriac_harness::*;

#[test]
fn results_are_those_of_the_native_functions() {
    let module = module!();
    let rows = [
        ("primes", args![10_000], json!(1229)),
        ("mandelbrot", args![3, 2, 5], json!(22)),
        ("fibonacci", args![90], json!(2_880_067_194_370_816_120_u64)),
        ("add", args![2, 40], json!(42)),
    ];
    for (task, args, wanted) in rows {
        assert_eq!(module.call(task, args).result(), wanted, "{task}");
    }
}

#[test]
fn a_sum_that_does_not_fit_is_an_overflow_error() {
    assert_eq!(
        module!().call("add", args![i64::MAX, 1]).failure().kind,
        "OverflowError"
    );
}

#[test]
fn work_without_end_is_stopped_by_the_cpu_limit() {
    let run = module!()
        .task("fibonacci")
        .args(args![u64::MAX])
        .limits(|limits| limits.cpu = ms(50))
        .run();
    assert_eq!(run.limit(), Limit::Cpu);
    assert!(run.cpu() >= ms(50));
}

#[test]
fn a_sieve_larger_than_the_memory_is_stopped_by_the_memory_limit() {
    let run = module!()
        .task("primes")
        .args(args![40_000_000])
        .limits(|limits| limits.memory = mib(16))
        .run();
    assert_eq!(run.limit(), Limit::Memory);
}

#[test]
fn a_picture_is_given_up_when_the_task_is_revoked() {
    let call = module!()
        .task("mandelbrot")
        .args(args![1_000, 1_000, 100_000]);
    let run = call.interrupt_after(ms(20), Interruption::Cancelled).run();
    assert_eq!(run.interruption(), Interruption::Cancelled);
}
