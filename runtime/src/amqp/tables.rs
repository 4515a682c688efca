//! Looks through the properties of a message before anybody reads them.
//!
//! A table of AMQP can be nested as deep as a frame is long: 18,000 levels overflow the
//! stack of a reader that calls itself. And what is no UTF-8, or of a type that is not
//! known, makes a reader give up its connection, with the message still in the queue for
//! the next. So such headers are taken out here, and kept as bytes.

use std::io;

/// Deepest nesting of a header. Celery's own are three deep.
const DEPTH: usize = 32;
/// The name under which headers are kept that nobody should read.
pub(crate) const RAW: &str = "x-celeriac-raw-headers";
/// Class, weight, length of the body.
const BEFORE_FLAGS: usize = 12;
/// The flag of the headers, and of the short texts before and after them, in their
/// order (AMQP 0-9-1, section 1.8.1).
const HEADERS: u16 = 1 << 13;
/// Lengths of what is no text: mode of delivery, priority, moment.
const FIXED: [(u16, usize); 3] = [(1 << 12, 1), (1 << 11, 1), (1 << 6, 8)];
/// A flag that says that more flags follow; no server sends it.
const MORE: u16 = 1;

/// Makes the payload of a content header frame harmless: texts are UTF-8, and headers are
/// what a reader can read.
///
/// # Errors
/// When it is no content header at all.
pub(super) fn tame(payload: &mut Vec<u8>) -> io::Result<()> {
    let flags = payload
        .get(BEFORE_FLAGS..BEFORE_FLAGS + 2)
        .ok_or_else(broken)?;
    let flags = flags
        .try_into()
        .map(u16::from_be_bytes)
        .map_err(|_| broken())?;
    if flags & MORE != 0 {
        return Err(broken());
    }
    let mut at = BEFORE_FLAGS + 2;
    for bit in (2..16).rev().map(|place| 1 << place) {
        if flags & bit == 0 {
            continue;
        }
        if bit == HEADERS {
            at = tame_table(payload, at)?;
        } else if let Some((_, length)) = FIXED.iter().find(|(flag, _)| *flag == bit) {
            at += length;
        } else {
            at = tame_text(payload, at)?;
        }
    }
    if at == payload.len() {
        Ok(())
    } else {
        Err(broken())
    }
}

/// Makes a short text UTF-8, and returns where it ends.
fn tame_text(bytes: &mut [u8], at: usize) -> io::Result<usize> {
    let length = usize::from(*bytes.get(at).ok_or_else(broken)?);
    let text = bytes.get_mut(at + 1..at + 1 + length).ok_or_else(broken)?;
    if std::str::from_utf8(text).is_err() {
        text.iter_mut()
            .filter(|byte| !byte.is_ascii())
            .for_each(|byte| *byte = b'?');
    }
    Ok(at + 1 + length)
}

/// Replaces a table that nobody should read, and returns where it ends.
fn tame_table(payload: &mut Vec<u8>, at: usize) -> io::Result<usize> {
    let start = at + 4;
    let length = length(payload, at)?;
    let end = start.checked_add(length).ok_or_else(broken)?;
    let table = payload.get(start..end).ok_or_else(broken)?;
    if is_readable(table) {
        return Ok(end);
    }
    let mut kept = Vec::with_capacity(length + RAW.len() + 6);
    kept.push(u8::try_from(RAW.len()).unwrap_or_default());
    kept.extend_from_slice(RAW.as_bytes());
    kept.push(b'x');
    kept.extend_from_slice(&size(length));
    kept.extend_from_slice(table);
    let end = start + kept.len();
    let length = size(kept.len());
    payload.splice(
        at..start + table_length(payload, at),
        length.into_iter().chain(kept),
    );
    Ok(end)
}

fn table_length(payload: &[u8], at: usize) -> usize {
    length(payload, at).unwrap_or_default()
}

fn size(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn length(bytes: &[u8], at: usize) -> io::Result<usize> {
    let four = bytes.get(at..at + 4).ok_or_else(broken)?;
    let length = four
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| broken())?;
    usize::try_from(length).map_err(|_| broken())
}

/// Tells whether a table can be read: without calling itself, so that no table is too deep
/// for it.
fn is_readable(table: &[u8]) -> bool {
    // Where each open table or list ends, and whether it is a table.
    let mut open = vec![(table.len(), true)];
    let mut at = 0;
    while let Some((end, is_table)) = open.last().copied() {
        if at == end {
            open.pop();
            continue;
        }
        let Some(inner) = step(table, &mut at, end, is_table) else {
            return false;
        };
        if let Some(inner) = inner {
            if open.len() >= DEPTH {
                return false;
            }
            open.push(inner);
        }
    }
    true
}

/// Passes one entry. `None` when it cannot be read; an inner table or list when the entry
/// is one, which comes next.
fn step(bytes: &[u8], at: &mut usize, end: usize, is_table: bool) -> Option<Option<(usize, bool)>> {
    if is_table {
        let length = usize::from(*bytes.get(*at)?);
        std::str::from_utf8(bytes.get(*at + 1..*at + 1 + length)?).ok()?;
        *at += 1 + length;
    }
    let kind = *bytes.get(*at).filter(|_| *at < end)?;
    *at += 1;
    let fixed = match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' | b'A' | b'F' => {
            let length = length(bytes, *at).ok()?;
            *at += 4;
            let until = at.checked_add(length).filter(|until| *until <= end)?;
            if kind == b'A' || kind == b'F' {
                return Some(Some((until, kind == b'F')));
            }
            length
        }
        _ => return None,
    };
    *at = at.checked_add(fixed).filter(|at| *at <= end)?;
    Some(None)
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a content header of AMQP is broken",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
        [&[u8::try_from(name.len()).unwrap()], name, value].concat()
    }

    fn of(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind][..], &size(content.len()), content].concat()
    }

    fn nested(levels: usize) -> Vec<u8> {
        (0..levels).fold(Vec::new(), |inner, _| entry(b"d", &of(b'F', &inner)))
    }

    /// A content header with a content type, headers and a priority.
    fn payload(content_type: &[u8], table: &[u8]) -> Vec<u8> {
        let flags = (1_u16 << 15 | HEADERS | 1 << 11).to_be_bytes();
        let before = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..], &flags].concat();
        [
            before,
            entry(content_type, &[]),
            size(table.len()).to_vec(),
            table.to_vec(),
            vec![9],
        ]
        .concat()
    }

    fn tamed(table: &[u8]) -> Vec<u8> {
        let mut bytes = payload(b"application/json", table);
        tame(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_can_be_read_stays_as_it_is() {
        let every = [
            entry(b"t", b"t\x01"),
            entry("ä".as_bytes(), &of(b'S', b"text \xff")),
            entry(b"l", &of(b'A', b"V")),
            entry(b"i", b"I\0\0\0\x07"),
            entry(b"d", b"d\0\0\0\0\0\0\0\0"),
        ];
        for table in [vec![], every.concat(), nested(DEPTH - 1)] {
            assert_eq!(tamed(&table), payload(b"application/json", &table));
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept_as_bytes_under_a_name() {
        for table in [
            nested(DEPTH),
            nested(18_000),
            vec![1],
            entry(b"\xff", b"V"),
            entry(b"k", b"?"),
            entry(b"k", b"I\0"),
            entry(b"k", b"S\xff\xff\xff\xff"),
            entry(b"k", &of(b'A', b"I")),
            (0..20_000).fold(Vec::new(), |inner, _| of(b'A', &inner)),
        ] {
            let kept = entry(RAW.as_bytes(), &of(b'x', &table));
            assert_eq!(tamed(&table), payload(b"application/json", &kept));
            assert!(is_readable(&kept));
        }
    }

    #[test]
    fn a_text_that_is_no_utf8_becomes_one() {
        let mut bytes = payload(b"a\xff\xfeb", b"");
        tame(&mut bytes).unwrap();
        assert_eq!(bytes, payload(b"a??b", b""));
    }

    #[test]
    fn what_is_no_content_header_is_an_error() {
        let whole = payload(b"x", b"");
        for cut in 0..whole.len() {
            assert!(tame(&mut whole[..cut].to_vec()).is_err(), "{cut}");
        }
        assert!(tame(&mut [whole, vec![0]].concat()).is_err());
        assert!(tame(&mut vec![0xff; 14]).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_and_what_comes_out_can_be_read(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut header = payload(b"x", &bytes);
            tame(&mut header).unwrap();
            let before = header.clone();
            tame(&mut header).unwrap();
            prop_assert_eq!(header, before, "it is tame already");
            let _any = tame(&mut bytes.clone());
        }
    }
}
