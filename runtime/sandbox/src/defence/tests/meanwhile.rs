//! The wall between neighbours on one thread.

use super::raw::Raw;
use super::{Component, Defence, Limit, Limits, invoke, limit, limits, load, returned, without};
use std::cell::Cell;

/// How many of five neighbours end before a guest that spins is ended.
async fn neighbours(spinning: &Component, neighbour: &Component) -> u32 {
    let ended = Cell::new(0);
    let spin = async {
        let report = invoke(spinning, &limits(200, 60_000)).await;
        assert_eq!(limit(&report), Limit::Cpu);
        ended.get()
    };
    let others = async {
        for _ in 0..5 {
            returned(&invoke(neighbour, &Limits::default()).await);
            ended.set(ended.get() + 1);
        }
    };
    tokio::join!(spin, others).0
}

#[tokio::test]
async fn without_yielding_at_every_tick_a_guest_has_the_thread_to_itself() {
    let spinning = load(
        &Raw {
            run: "(loop (br 0)) unreachable",
            ..Raw::default()
        }
        .component(),
    );
    let neighbour = load(&Raw::default().component());
    assert_eq!(neighbours(&spinning, &neighbour).await, 5);
    let _away = without(&[Defence::Yield]);
    // The limit on its CPU time ends it, and only then do they have their turn.
    assert_eq!(neighbours(&spinning, &neighbour).await, 0);
}
