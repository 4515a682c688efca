//! What every place for what modules keep must do.

use crate::stage::ResultsStage;
use celeriac::results::shelf::{LARGEST, PAGE, Refused, Shelves, Space};

crate::stage::kept_behaviours! {
    what_is_kept_is_read_by_every_worker_and_no_other_module,
    a_shelf_ends_at_its_bytes_and_gives_them_back,
    a_shelf_ends_at_its_keys,
    numbers_are_counted_exactly_by_many_at_once,
    keys_come_in_pages_in_their_order,
}

const WIDE: Space = Space {
    bytes: 1 << 20,
    keys: 10_000,
};

mod check {
    use super::*;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn pairs(pairs: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        let owned = |(key, value): &(&str, &[u8])| ((*key).to_owned(), value.to_vec());
        pairs.iter().map(owned).collect()
    }

    async fn put(
        shelves: &dyn Shelves,
        key: &str,
        value: &[u8],
        space: Space,
    ) -> Result<(), Refused> {
        shelves
            .set("m", pairs(&[(key, value)]), space)
            .await
            .unwrap()
    }

    pub(super) async fn what_is_kept_is_read_by_every_worker_and_no_other_module(
        stage: ResultsStage,
    ) {
        let (ours, theirs) = (&stage.shelves, &stage.others_shelves);
        let odd: &[u8] = &[0, 255, 10, 13];
        let kept = pairs(&[("a", b""), ("ä b\n", odd), ("a", b"later")]);
        assert_eq!(ours.set("m", kept, WIDE).await.unwrap(), Ok(()));
        let asked = keys(&["ä b\n", "none", "a"]);
        let wanted = vec![Some(odd.to_vec()), None, Some(b"later".to_vec())];
        assert_eq!(theirs.get("m", &asked).await.unwrap(), wanted);
        for module in ["n", "m-bytes", "m.", ""] {
            assert_eq!(
                theirs.get(module, &asked).await.unwrap(),
                [None, None, None]
            );
            assert!(theirs.keys(module, 0).await.unwrap().is_empty());
            theirs.delete(module, asked.clone()).await.unwrap();
        }
        assert_eq!(ours.get("m", &asked).await.unwrap(), wanted);
        assert!(ours.get("m", &[]).await.unwrap().is_empty());
        theirs.delete("m", asked.clone()).await.unwrap();
        assert_eq!(ours.get("m", &asked).await.unwrap(), [None, None, None]);
    }

    pub(super) async fn a_shelf_ends_at_its_bytes_and_gives_them_back(stage: ResultsStage) {
        let (shelves, space) = (&*stage.shelves, Space { bytes: 10, ..WIDE });
        assert_eq!(put(shelves, "ab", b"12345678", space).await, Ok(()));
        assert_eq!(
            put(shelves, "c", b"", space).await,
            Err(Refused::TooManyBytes)
        );
        assert_eq!(
            put(shelves, "ab", b"123456789", space).await,
            Err(Refused::TooManyBytes)
        );
        assert_eq!(put(shelves, "ab", b"12345678", space).await, Ok(()));
        assert_eq!(put(shelves, "ab", b"1234567", space).await, Ok(()));
        assert_eq!(put(shelves, "c", b"", space).await, Ok(()));
        // A smaller value is taken although the operator has lowered the space.
        let lower = Space { bytes: 3, ..WIDE };
        assert_eq!(put(shelves, "ab", b"123456", lower).await, Ok(()));
        assert_eq!(
            put(shelves, "d", b"", lower).await,
            Err(Refused::TooManyBytes)
        );
        let both = pairs(&[("ab", b"12345"), ("d", b"1234")]);
        assert_eq!(
            shelves.set("m", both, space).await.unwrap(),
            Err(Refused::TooManyBytes)
        );
        let found = shelves.get("m", &keys(&["ab", "d"])).await.unwrap();
        assert_eq!(found, [Some(b"12345".to_vec()), None]);
        shelves
            .delete("m", keys(&["ab", "c", "ab", "none"]))
            .await
            .unwrap();
        assert_eq!(put(shelves, "e", b"123456789", space).await, Ok(()));
    }

    pub(super) async fn a_shelf_ends_at_its_keys(stage: ResultsStage) {
        let (shelves, space) = (&*stage.shelves, Space { keys: 2, ..WIDE });
        for key in ["a", "b", "a"] {
            assert_eq!(put(shelves, key, b"x", space).await, Ok(()), "{key}");
        }
        assert_eq!(
            put(shelves, "c", b"x", space).await,
            Err(Refused::TooManyKeys)
        );
        let counted = shelves.increment("m", "c".to_owned(), 1, space).await;
        assert_eq!(counted.unwrap(), Err(Refused::TooManyKeys));
        assert_eq!(shelves.get("m", &keys(&["c"])).await.unwrap(), [None]);
        shelves.delete("m", keys(&["a"])).await.unwrap();
        assert_eq!(put(shelves, "c", b"x", space).await, Ok(()));
    }

    pub(super) async fn numbers_are_counted_exactly_by_many_at_once(stage: ResultsStage) {
        let count = async |shelves: &dyn Shelves, key: &str, delta| {
            let counted = shelves.increment("m", key.to_owned(), delta, WIDE).await;
            counted.unwrap()
        };
        let (ours, theirs) = (&*stage.shelves, &*stage.others_shelves);
        let fifty = async |shelves| {
            for _ in 0..50 {
                count(shelves, "n", 1).await.unwrap();
            }
        };
        tokio::join!(fifty(ours), fifty(theirs), fifty(ours));
        assert_eq!(count(ours, "n", 0).await, Ok(150));
        let found = ours.get("m", &keys(&["n"])).await.unwrap();
        assert_eq!(found, [Some(b"150".to_vec())]);
        // Beyond what a float counts exactly, to the very end.
        let near = LARGEST - 151;
        assert_eq!(count(ours, "n", near).await, Ok(LARGEST - 1));
        assert_eq!(count(ours, "n", 1).await, Ok(LARGEST));
        assert_eq!(count(ours, "n", 1).await, Err(Refused::NotANumber));
        assert_eq!(count(ours, "n", u64::MAX).await, Err(Refused::NotANumber));
        assert_eq!(count(ours, "n", 0).await, Ok(LARGEST));
        for value in [
            "",
            "x",
            "-1",
            "+1",
            "007",
            "1.5",
            "1 ",
            "9223372036854775808",
        ] {
            assert_eq!(put(ours, "v", value.as_bytes(), WIDE).await, Ok(()));
            assert_eq!(
                count(ours, "v", 1).await,
                Err(Refused::NotANumber),
                "{value:?}"
            );
            let found = ours.get("m", &keys(&["v"])).await.unwrap();
            assert_eq!(found, [Some(value.as_bytes().to_vec())]);
        }
        // Digits are bytes like any others.
        let tight = Space { bytes: 3, ..WIDE };
        let grow = async |delta| {
            ours.increment("o", "k".to_owned(), delta, tight)
                .await
                .unwrap()
        };
        assert_eq!(grow(99).await, Ok(99));
        assert_eq!(grow(1).await, Err(Refused::TooManyBytes));
        assert_eq!(grow(0).await, Ok(99));
    }

    pub(super) async fn keys_come_in_pages_in_their_order(stage: ResultsStage) {
        let shelves = &stage.shelves;
        let many = (0..PAGE + 2).map(|number| (format!("{number:05}"), Vec::new()));
        let many: Vec<_> = many.rev().collect();
        assert_eq!(shelves.set("m", many.clone(), WIDE).await.unwrap(), Ok(()));
        let first = shelves.keys("m", 0).await.unwrap();
        let rest = shelves.keys("m", PAGE as u64).await.unwrap();
        assert_eq!((first.len(), rest.len()), (PAGE, 2));
        let all = first.iter().chain(&rest);
        assert!(all.eq(many.iter().rev().map(|(key, _)| key)));
        for after in [PAGE as u64 + 2, u64::MAX] {
            assert!(shelves.keys("m", after).await.unwrap().is_empty());
        }
    }
}
