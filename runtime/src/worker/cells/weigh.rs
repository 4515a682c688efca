//! What a frame stands for, counted before it is decoded: a few bytes may stand for a list
//! whose every member takes a hundred in memory.

/// Deepest nesting of a frame (32): a report has 11 levels.
const DEPTH: usize = 32;

/// Checks that a frame is one MessagePack value of at most so many values, lists, maps, names
/// and members counted each, and that all it announces is there.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn weigh(frame: &[u8], values: u64) -> Result<(), String> {
    let mut rest = frame;
    let mut left = values;
    // How many values each open list still wants.
    let mut open = vec![1_u64];
    loop {
        while open.last() == Some(&0) {
            open.pop();
        }
        let Some(wanted) = open.last_mut() else {
            break;
        };
        *wanted -= 1;
        let too_many = || format!("a frame of more than {values} values");
        left = left.checked_sub(1).ok_or_else(too_many)?;
        let (members, bytes) = head(&mut rest).ok_or("a frame that is cut off")?;
        if members > left {
            return Err(too_many());
        }
        rest = skipped(rest, bytes).ok_or("a frame that is cut off")?;
        if members > 0 {
            if open.len() == DEPTH {
                return Err(format!("a frame of more than {DEPTH} levels"));
            }
            open.push(members);
        }
    }
    match rest.len() {
        0 => Ok(()),
        more => Err(format!("{more} bytes after the end of a frame")),
    }
}

/// Takes the head of a value: how many values it consists of, and how many bytes follow.
fn head(rest: &mut &[u8]) -> Option<(u64, u64)> {
    let (marker, tail) = rest.split_first()?;
    *rest = tail;
    let low = |mask: u8| u64::from(marker & mask);
    Some(match marker {
        // Small numbers, nothing, false and true; and what nobody writes.
        0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => (0, 0),
        // Maps have a name for each member.
        0x80..=0x8f => (2 * low(0x0f), 0),
        0x90..=0x9f => (low(0x0f), 0),
        0xa0..=0xbf => (0, low(0x1f)),
        // Bytes and texts, by the length of their length.
        0xc4 | 0xd9 => (0, number(rest, 1)?),
        0xc5 | 0xda => (0, number(rest, 2)?),
        0xc6 | 0xdb => (0, number(rest, 4)?),
        // Extensions have a byte for their kind.
        0xc7 => (0, number(rest, 1)? + 1),
        0xc8 => (0, number(rest, 2)? + 1),
        0xc9 => (0, number(rest, 4)? + 1),
        0xd4 => (0, 2),
        0xd5 => (0, 3),
        0xd6 => (0, 5),
        0xd7 => (0, 9),
        0xd8 => (0, 17),
        // Numbers.
        0xcc | 0xd0 => (0, 1),
        0xcd | 0xd1 => (0, 2),
        0xca | 0xce | 0xd2 => (0, 4),
        0xcb | 0xcf | 0xd3 => (0, 8),
        // Longer lists and maps.
        0xdc => (number(rest, 2)?, 0),
        0xdd => (number(rest, 4)?, 0),
        0xde => (2 * number(rest, 2)?, 0),
        0xdf => (2 * number(rest, 4)?, 0),
    })
}

/// Takes a number of so many bytes, at most four.
fn number(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    let (digits, tail) = rest.split_at_checked(bytes)?;
    *rest = tail;
    let add = |sum: u64, digit: &u8| (sum << 8) | u64::from(*digit);
    Some(digits.iter().fold(0, add))
}

fn skipped(rest: &[u8], bytes: u64) -> Option<&[u8]> {
    rest.get(usize::try_from(bytes).ok()?..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn packed(value: &serde_json::Value) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }

    #[test]
    fn everything_in_a_frame_is_counted() {
        for (value, count) in [
            (json!(null), 1),
            (json!([]), 1),
            (json!({"a": [1, -1, 70_000, -70_000, 5_000_000_000_u64]}), 8),
            (json!([[[[0.5]]], true, "x".repeat(40)]), 7),
            (json!(vec!["é".repeat(200); 20]), 21),
            (json!(vec![0; 70_000]), 70_001),
            (json!("x".repeat(70_000)), 1),
        ] {
            let frame = packed(&value);
            assert_eq!(weigh(&frame, count), Ok(()));
            let over = weigh(&frame, count - 1);
            assert_eq!(
                over,
                Err(format!("a frame of more than {} values", count - 1))
            );
        }
    }

    #[test]
    fn what_serde_writes_of_every_kind_is_read_to_its_end() {
        let map: std::collections::BTreeMap<u32, u8> = (0..70_000).map(|n| (n, 0)).collect();
        for frame in [
            rmp_serde::to_vec(&(1.5_f32, 1.5_f64, i8::MIN, i16::MIN, i32::MIN, i64::MIN)).unwrap(),
            rmp_serde::to_vec(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX)).unwrap(),
            rmp_serde::to_vec(&map).unwrap(),
            vec![0xd8; 18],
            [&[0xc7, 3][..], &[0; 4]].concat(),
            [&[0xc8, 0, 3][..], &[0; 4]].concat(),
            [&[0xc9, 0, 0, 0, 3][..], &[0; 4]].concat(),
            [&[0xc5, 0, 3][..], &[0; 3]].concat(),
        ] {
            assert_eq!(weigh(&frame, 1 << 20), Ok(()));
        }
    }

    #[test]
    fn a_frame_that_announces_more_than_it_has_or_goes_on_is_refused() {
        // Four billion members, of which none follows.
        let none = weigh(&[0xdd, 0xff, 0xff, 0xff, 0xff], 1 << 20).unwrap_err();
        assert!(none.contains("more than 1048576 values"), "{none}");
        for frame in [
            &[][..],
            &[0xdd, 0, 0, 0, 1],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
            &[0x92, 1],
            &[0xcd, 1],
        ] {
            assert_eq!(weigh(frame, 9), Err("a frame that is cut off".to_owned()));
        }
        let more = weigh(&[1, 2, 3], 9).unwrap_err();
        assert_eq!(more, "2 bytes after the end of a frame");
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| [vec![0x91; levels], vec![1]].concat();
        assert_eq!(weigh(&deep(31), 1_000), Ok(()));
        let wrong = weigh(&deep(100_000), 1 << 20).unwrap_err();
        assert_eq!(wrong, "a frame of more than 32 levels");
    }
}
