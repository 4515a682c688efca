use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MILLI: u64 = 1_000_000;

/// A tenant that always has messages, or has none before a moment.
#[derive(Debug, Clone)]
struct Tenant {
    weight: u32,
    /// CPU time of each of its tasks, nanoseconds.
    task: u64,
    /// When its first message comes.
    from: u64,
    /// How many messages come.
    messages: u64,
}

/// What became of them.
#[derive(Debug, Default)]
struct Told {
    /// CPU time of each until the end of the run.
    cpu: Vec<u64>,
    /// How long the first message of each waited for a place.
    first: Vec<Option<u64>>,
    /// Most attempts in flight.
    most: usize,
}

fn busy(weight: u32, task: u64) -> Tenant {
    Tenant {
        weight,
        task,
        from: 0,
        messages: u64::MAX,
    }
}

/// Runs tenants on so many places, each place as fast as a core, until a moment.
fn run(size: usize, tenants: &[Tenant], until: u64) -> Told {
    let mut fair = Fair::new(size);
    let mut told = Told {
        cpu: vec![0; tenants.len()],
        first: vec![None; tenants.len()],
        most: 0,
    };
    let mut left: Vec<u64> = tenants.iter().map(|tenant| tenant.messages).collect();
    let mut asked = vec![false; tenants.len()];
    for (lane, tenant) in tenants.iter().enumerate() {
        fair.join(lane as u64, tenant.weight);
    }
    // Ends of attempts, and moments at which somebody's first message comes.
    let mut ends: BinaryHeap<Reverse<(u64, Option<usize>)>> = tenants
        .iter()
        .map(|tenant| Reverse((tenant.from, None)))
        .collect();
    while let Some(Reverse((now, ended))) = ends.pop() {
        if now > until {
            break;
        }
        if let Some(lane) = ended {
            told.cpu[lane] += tenants[lane].task;
            fair.release(lane as u64);
        }
        loop {
            for (lane, tenant) in tenants.iter().enumerate() {
                if now >= tenant.from && left[lane] > 0 && !asked[lane] {
                    fair.ask(lane as u64);
                    asked[lane] = true;
                    left[lane] -= 1;
                }
            }
            let Some(lane) = fair.grant() else { break };
            let lane = usize::try_from(lane).unwrap();
            asked[lane] = false;
            fair.charge(lane as u64, Duration::from_nanos(tenants[lane].task));
            told.first[lane].get_or_insert(now - tenants[lane].from);
            ends.push(Reverse((now + tenants[lane].task, Some(lane))));
            let running = (0..tenants.len() as u64).map(|lane| fair.running(lane));
            told.most = told.most.max(running.sum());
        }
    }
    told
}

proptest! {
    #[test]
    fn a_tenant_that_has_nothing_in_flight_starts_at_once(
        size in 1_usize..64,
        flood in 1_u64..1_000,
        own in 1_u64..1_000,
        from in 0_u64..5_000,
        weights in (1_u32..=10_000, 1_u32..=10_000),
    ) {
        let late = Tenant { from: from * MILLI, messages: 1, ..busy(weights.1, own * MILLI) };
        let told = run(size, &[busy(weights.0, flood * MILLI), late], 10_000 * MILLI);
        prop_assert_eq!(told.first[1], Some(0));
    }

    #[test]
    fn under_saturation_cpu_is_shared_by_weight(
        size in 4_usize..32,
        weights in prop::collection::vec(50_u32..=400, 2..5),
        tasks in prop::collection::vec(1_u64..20, 5),
    ) {
        let tenants: Vec<Tenant> = weights.iter().zip(&tasks)
            .map(|(weight, task)| busy(*weight, task * MILLI)).collect();
        // A place for each comes first: the shares of the rest make up for it as long as no
        // weight is below what one place is.
        let whole: u32 = weights.iter().sum();
        let places = size + tenants.len();
        prop_assume!(weights.iter().all(|weight| {
            f64::from(*weight) / f64::from(whole) * places as f64 > 1.5
        }));
        let told = run(size, &tenants, 2_000 * MILLI);
        let all: u64 = told.cpu.iter().sum();
        // A message costs the same for each: short tasks pay more beside their CPU time.
        let worth = |lane: usize| told.cpu[lane] as f64
            * (1.0 + 0.2 / (tasks[lane] as f64));
        let paid: f64 = (0..tenants.len()).map(worth).sum();
        for (lane, weight) in weights.iter().enumerate() {
            let share = worth(lane) / paid;
            let due = f64::from(*weight) / f64::from(whole);
            prop_assert!((share - due).abs() < 0.03, "{share} for {due} of {all}");
        }
    }

    #[test]
    fn nobody_starves_and_nothing_is_overbooked(
        size in 1_usize..16,
        tenants in prop::collection::vec((1_u32..=10_000, 1_u64..500), 1..8),
    ) {
        let tenants: Vec<Tenant> = tenants.iter().map(|(weight, task)| busy(*weight, task * MILLI)).collect();
        let told = run(size, &tenants, 5_000 * MILLI);
        prop_assert!(told.cpu.iter().all(|cpu| *cpu > 0), "{:?}", told.cpu);
        prop_assert!(told.most <= size + tenants.len(), "{} of {size}", told.most);
    }

    #[test]
    fn what_a_lane_holds_is_never_more_than_there_is(
        size in 1_usize..8,
        steps in prop::collection::vec((0_u64..4, 0_u8..5), 0..200),
    ) {
        let mut fair = Fair::new(size);
        let mut running = [0_usize; 4];
        for lane in 0..4 {
            fair.join(lane, 100);
        }
        for (lane, step) in steps {
            let at = usize::try_from(lane).unwrap();
            match step {
                0 | 1 => fair.ask(lane),
                2 => fair.withdraw(lane),
                3 if running[at] > 0 => {
                    fair.release(lane);
                    running[at] -= 1;
                }
                _ => fair.charge(lane, Duration::from_millis(5)),
            }
            while let Some(granted) = fair.grant() {
                running[usize::try_from(granted).unwrap()] += 1;
            }
            let lent: usize = running.iter().map(|one| one.saturating_sub(1)).sum();
            prop_assert!(lent <= size, "{running:?} of {size}");
            prop_assert_eq!(fair.free(), size - lent);
        }
    }
}

#[test]
fn idle_capacity_is_lent_entirely_and_comes_back_as_attempts_end() {
    let told = run(
        8,
        &[
            busy(100, MILLI),
            Tenant {
                messages: 0,
                ..busy(100, MILLI)
            },
        ],
        100 * MILLI,
    );
    assert_eq!(told.most, 9);
    let mut fair = Fair::new(2);
    fair.join(0, 100);
    fair.join(1, 100);
    for _ in 0..4 {
        fair.ask(0);
    }
    while fair.grant().is_some() {}
    assert_eq!((fair.running(0), fair.free()), (3, 0));
    fair.ask(1);
    fair.ask(1);
    fair.charge(0, Duration::from_secs(1));
    // A place of its own at once, and the next one that comes free.
    assert_eq!(fair.grant(), Some(1));
    assert_eq!(fair.grant(), None);
    fair.release(0);
    assert_eq!(fair.grant(), Some(1));
}

#[test]
fn whoever_was_idle_saved_nothing_up_and_owes_no_more_than_a_bound() {
    let mut fair = Fair::new(1);
    fair.join(0, 100);
    fair.join(1, 100);
    for _ in 0..100 {
        fair.ask(0);
        assert_eq!(fair.grant(), Some(0));
        fair.charge(0, Duration::from_secs(1));
        fair.release(0);
    }
    // Both busy from here on: they take turns.
    let mut started = [0_u32; 2];
    for lane in [0, 0, 1, 1] {
        fair.ask(lane);
    }
    let mut running = Vec::new();
    for _ in 0..100 {
        while let Some(lane) = fair.grant() {
            fair.charge(lane, Duration::from_secs(1));
            started[usize::try_from(lane).unwrap()] += 1;
            running.push(lane);
            fair.ask(lane);
        }
        fair.release(running.remove(0));
    }
    assert!(started[0].abs_diff(started[1]) <= 3, "{started:?}");
    // What was used elsewhere counts, within a bound.
    fair.leave(1);
    fair.join(1, 100);
    fair.charge(1, Duration::from_secs(86_400));
    fair.ask(1);
    let (own, other) = (fair.lanes[&1].time, fair.lanes[&0].time);
    assert!(own <= other + DEBT + SECOND, "{own} {other}");
}

#[test]
fn a_lane_alone_takes_what_is_free_and_one_in_company_its_part() {
    let mut fair = Fair::new(8);
    fair.join(0, 100);
    assert_eq!(fair.room(0), 8);
    for _ in 0..8 {
        fair.ask(0);
        fair.grant();
    }
    assert_eq!(fair.room(0), 0);
    fair.join(1, 100);
    // One of its own, and half of the one that is free since the first has one of its own.
    assert_eq!(fair.room(1), 2);
    assert_eq!(fair.room(0), 1);
    fair.ask(0);
    fair.ask(0);
    while fair.grant().is_some() {}
    assert_eq!((fair.running(0), fair.room(0)), (9, 0));
    fair.change(1, 100, Some(1));
    assert_eq!(fair.room(1), 1);
    fair.ask(1);
    assert_eq!((fair.grant(), fair.room(1)), (Some(1), 0));
}
