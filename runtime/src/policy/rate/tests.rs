use super::*;
use proptest::prelude::*;
use std::collections::BinaryHeap;

const SHORT: i64 = 100_000;
const PATIENCE: i64 = 3_000_000;

fn pace(interval: i64) -> Pace {
    let micros = |span: i64| Duration::from_micros(span.unsigned_abs());
    Pace {
        interval: micros(interval),
        short: micros(SHORT),
        patience: micros(PATIENCE),
    }
}

fn id(number: usize) -> TaskId {
    TaskId::parse(&format!("t{number}")).unwrap()
}

fn at(micros: i64) -> Timestamp {
    moment(1_900_000_000_000_000 + micros)
}

fn since(moment: Timestamp) -> i64 {
    moment.as_microsecond() - 1_900_000_000_000_000
}

/// Lets messages come at their moments, and come back when they are told; each return
/// is late by what `lateness` says. Returns the starts, and how often messages came.
fn run(interval: i64, arrivals: &[i64], lateness: impl Fn(usize) -> i64) -> (Vec<i64>, usize) {
    let mut line = Line::default();
    let mut coming: BinaryHeap<_> = arrivals
        .iter()
        .enumerate()
        .map(|(number, at)| std::cmp::Reverse((*at, number)))
        .collect();
    let (mut starts, mut asked) = (Vec::new(), 0);
    while let Some(std::cmp::Reverse((now, number))) = coming.pop() {
        asked += 1;
        assert!(asked < 100_000, "it goes round and round");
        match line.turn(&id(number), at(now), &pace(interval)) {
            Turn::Start(moment) => {
                assert!((0..SHORT).contains(&(since(moment) - now)));
                starts.push(since(moment));
            }
            Turn::Return(moment) => {
                let back = since(moment).max(now + 1) + lateness(asked);
                coming.push(std::cmp::Reverse((back, number)));
            }
        }
    }
    assert!(line.promises.is_empty() && line.places.is_empty());
    starts.sort_unstable();
    (starts, asked)
}

#[test]
fn the_first_starts_at_once_and_the_others_each_at_a_moment_of_its_own() {
    let mut line = Line::default();
    let turns = (0..1_000).map(|number| line.turn(&id(number), at(0), &pace(1_000_000)));
    let turns: Vec<_> = turns.collect();
    assert_eq!(turns[0], Turn::Start(at(0)));
    for (number, turn) in turns.iter().enumerate().skip(1) {
        let number = i64::try_from(number).unwrap();
        assert_eq!(*turn, Turn::Return(at(number * 1_000_000)));
    }
}

#[test]
fn of_a_thousand_that_come_at_once_each_comes_back_once() {
    let (starts, asked) = run(1_000_000, &[0; 1_000], |_| 0);
    assert_eq!(
        starts,
        (0..1_000).map(|n| n * 1_000_000).collect::<Vec<_>>()
    );
    assert_eq!(asked, 1_999);
}

#[test]
fn nobody_is_overtaken_by_who_comes_later() {
    let mut line = Line::default();
    let pace = pace(1_000_000);
    assert_eq!(line.turn(&id(0), at(0), &pace), Turn::Start(at(0)));
    assert_eq!(line.turn(&id(1), at(1), &pace), Turn::Return(at(1_000_000)));
    // The gate is open, and the place is another's.
    assert_eq!(
        line.turn(&id(2), at(1_000_000), &pace),
        Turn::Return(at(2_000_000))
    );
    assert_eq!(
        line.turn(&id(1), at(1_000_100), &pace),
        Turn::Start(at(1_000_100))
    );
}

#[test]
fn the_place_of_one_that_does_not_come_is_given_away() {
    let mut line = Line::default();
    let pace = pace(1_000_000);
    line.turn(&id(0), at(0), &pace);
    line.turn(&id(1), at(0), &pace);
    let late = 1_000_000 + PATIENCE;
    assert_eq!(
        line.turn(&id(2), at(late - 1), &pace),
        Turn::Return(at(late - 1))
    );
    assert_eq!(line.turn(&id(3), at(late), &pace), Turn::Start(at(late)));
    assert!(!line.promises.contains_key(&id(1)));
}

#[test]
fn promises_are_counted_and_forgotten() {
    let mut line = Line::default();
    let slow = pace(1_000_000);
    for number in 0..PROMISES + 10 {
        line.turn(&id(number), at(0), &slow);
    }
    assert_eq!(line.promises.len(), PROMISES);
    let years_later = 200_000_000_000;
    line.turn(&id(0), at(years_later), &slow);
    assert!(line.promises.len() <= 1 && line.places.len() <= 1);
}

proptest! {
    #[test]
    fn starts_keep_their_distance_and_everybody_starts(
        interval in 1_000_i64..5_000_000,
        arrivals in proptest::collection::vec(0_i64..20_000_000, 1..60),
        lateness in proptest::collection::vec(0_i64..2_500_000, 8),
    ) {
        let (starts, _) = run(interval, &arrivals, |asked| lateness[asked % lateness.len()]);
        prop_assert_eq!(starts.len(), arrivals.len());
        for pair in starts.windows(2) {
            prop_assert!(pair[1] - pair[0] >= interval);
        }
    }

    #[test]
    fn in_time_the_whole_rate_is_used(
        interval in 200_000_i64..2_000_000,
        count in 1_usize..80,
    ) {
        let (starts, _) = run(interval, &vec![0; count], |_| 0);
        let last = *starts.last().unwrap();
        prop_assert_eq!(last, interval * i64::try_from(count - 1).unwrap());
    }
}
