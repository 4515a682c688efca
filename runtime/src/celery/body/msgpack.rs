//! MessagePack, as kombu's `msgpack` serializer sends it.

use super::BodyError;
use super::cursor::Cursor;
use super::document::{DEPTH, Document, Id, Node, too_deep};
use super::typed::{Offset, Typed};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The type of the one extension that is read: a moment.
const TIMESTAMP: u8 = 0xff;

/// Reads a body; it is one value and nothing after it.
pub(super) fn read(bytes: &[u8]) -> Result<Document, BodyError> {
    let mut reader = Reader {
        rest: Cursor::new(bytes),
        document: Document::default(),
    };
    let root = reader.value(DEPTH)?;
    if !reader.rest.is_at_end() {
        return Err(BodyError::malformed(
            "the msgpack body goes on after its value",
        ));
    }
    Ok(reader.document.with_root(root))
}

struct Reader<'a> {
    rest: Cursor<'a>,
    document: Document,
}

impl Reader<'_> {
    /// Reads a value; the depth that is left bounds the recursion.
    fn value(&mut self, depth: usize) -> Result<Id, BodyError> {
        let marker = self.rest.byte()?;
        match marker {
            0x00..=0x7f => self.document.number(marker),
            0x80..=0x8f => self.map(u32::from(marker & 0x0f), depth),
            0x90..=0x9f => self.list(u32::from(marker & 0x0f), depth),
            0xa0..=0xbf => self.text(u32::from(marker & 0x1f)),
            0xc0 => self.document.add(Node::Null),
            0xc1 => Err(BodyError::malformed("0xc1 is no msgpack value")),
            0xc2 | 0xc3 => self.document.add(Node::Bool(marker == 0xc3)),
            0xc4..=0xc6 => {
                let length = self.length(marker - 0xc4)?;
                let bytes = self.rest.take(length.into())?;
                self.document.add(Node::Bytes(bytes.into()))
            }
            0xc7..=0xc9 => {
                let length = self.length(marker - 0xc7)?;
                self.extension(length)
            }
            0xca | 0xcb => self.float(marker == 0xcb),
            0xcc..=0xd3 => self.number(marker),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4)),
            0xd9..=0xdb => {
                let length = self.length(marker - 0xd9)?;
                self.text(length)
            }
            0xdc | 0xdd => {
                let length = self.length(marker - 0xdc + 1)?;
                self.list(length, depth)
            }
            0xde | 0xdf => {
                let length = self.length(marker - 0xde + 1)?;
                self.map(length, depth)
            }
            0xe0..=0xff => self.document.number(i8::from_be_bytes([marker])),
        }
    }

    /// Reads a length of 1, 2 or 4 bytes.
    fn length(&mut self, size: u8) -> Result<u32, BodyError> {
        Ok(match size {
            0 => self.rest.byte()?.into(),
            1 => u16::from_be_bytes(self.rest.array()?).into(),
            _ => u32::from_be_bytes(self.rest.array()?),
        })
    }

    fn number(&mut self, marker: u8) -> Result<Id, BodyError> {
        let rest = &mut self.rest;
        match marker {
            0xcc => self.document.number(rest.byte()?),
            0xcd => self.document.number(u16::from_be_bytes(rest.array()?)),
            0xce => self.document.number(u32::from_be_bytes(rest.array()?)),
            0xcf => self.document.number(u64::from_be_bytes(rest.array()?)),
            0xd0 => self.document.number(i8::from_be_bytes(rest.array()?)),
            0xd1 => self.document.number(i16::from_be_bytes(rest.array()?)),
            0xd2 => self.document.number(i32::from_be_bytes(rest.array()?)),
            _ => self.document.number(i64::from_be_bytes(rest.array()?)),
        }
    }

    fn float(&mut self, is_double: bool) -> Result<Id, BodyError> {
        let number = match is_double {
            true => f64::from_be_bytes(self.rest.array()?),
            false => f32::from_be_bytes(self.rest.array()?).into(),
        };
        self.document.float(number)
    }

    fn text(&mut self, length: u32) -> Result<Id, BodyError> {
        let bytes = self.rest.take(length.into())?;
        let text = std::str::from_utf8(bytes).map_err(|error| {
            BodyError::malformed(format!("a msgpack text is not UTF-8: {error}"))
        })?;
        self.document.text(text)
    }

    /// Reads members as they come: a declared length reserves nothing.
    fn list(&mut self, length: u32, depth: usize) -> Result<Id, BodyError> {
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.value(depth)?);
        }
        self.document.add(Node::List(items))
    }

    fn map(&mut self, length: u32, depth: usize) -> Result<Id, BodyError> {
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        let mut members = Vec::new();
        for _ in 0..length {
            members.push((self.value(depth)?, self.value(depth)?));
        }
        self.document.add(Node::Dict(members))
    }

    fn extension(&mut self, length: u32) -> Result<Id, BodyError> {
        let kind = self.rest.byte()?;
        let data = self.rest.take(length.into())?;
        if kind != TIMESTAMP {
            let kind = i8::from_be_bytes([kind]);
            return Err(BodyError::malformed(format!(
                "msgpack extension {kind} is not read; only timestamps (-1) are"
            )));
        }
        let moment = timestamp(data).ok_or_else(|| {
            BodyError::malformed("a msgpack timestamp is not from the years 1 to 9999")
        })?;
        let at = TimeZone::UTC.to_datetime(moment);
        let typed = Typed::DateTime(at, Some(Offset::seconds(0)?));
        self.document.add(Node::Typed(Box::new(typed)))
    }
}

/// A moment in one of the three forms of a timestamp.
fn timestamp(data: &[u8]) -> Option<Timestamp> {
    let (seconds, nanos) = if let Ok(data) = data.try_into() {
        (i64::from(u32::from_be_bytes(data)), 0)
    } else if let Ok(data) = data.try_into() {
        let both = u64::from_be_bytes(data);
        let seconds = both & ((1 << 34) - 1);
        (
            i64::try_from(seconds).ok()?,
            u32::try_from(both >> 34).ok()?,
        )
    } else {
        let (nanos, seconds) = data.split_first_chunk()?;
        let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
        (seconds, u32::from_be_bytes(*nanos))
    };
    let nanos = i32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    let moment = Timestamp::new(seconds, nanos).ok()?;
    let year = TimeZone::UTC.to_datetime(moment).year();
    (1..=9999).contains(&year).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> Result<String, BodyError> {
        let json = read(bytes)?.json()?;
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn every_marker_is_read() {
        for (bytes, expected) in [
            (&b"\x07"[..], "7"),
            (b"\xff", "-1"),
            (b"\x82\xa1a\x01\x02\xc0", r#"{"a":1,"2":null}"#),
            (b"\x93\xc2\xc3\xa2\xc3\xa4", r#"[false,true,"ä"]"#),
            (
                b"\xc4\x01\xff",
                r#"{"__type__":"base64","__value__":"/w=="}"#,
            ),
            (b"\xc5\x00\x01a", r#"{"__type__":"bytes","__value__":"a"}"#),
            (
                b"\xc6\x00\x00\x00\x00",
                r#"{"__type__":"bytes","__value__":""}"#,
            ),
            (b"\xca\x3f\xc0\x00\x00", "1.5"),
            (b"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.1"),
            (b"\xcc\xff", "255"),
            (b"\xcd\xff\xff", "65535"),
            (b"\xce\xff\xff\xff\xff", "4294967295"),
            (
                b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                "18446744073709551615",
            ),
            (b"\xd0\x80", "-128"),
            (b"\xd1\x80\x00", "-32768"),
            (b"\xd2\x80\x00\x00\x00", "-2147483648"),
            (
                b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
                "-9223372036854775808",
            ),
            (b"\xd9\x01a", r#""a""#),
            (b"\xda\x00\x01a", r#""a""#),
            (b"\xdb\x00\x00\x00\x01a", r#""a""#),
            (b"\xdc\x00\x01\x01", "[1]"),
            (b"\xdd\x00\x00\x00\x01\x01", "[1]"),
            (b"\xde\x00\x01\xa1a\x01", r#"{"a":1}"#),
            (b"\xdf\x00\x00\x00\x01\xa1a\x01", r#"{"a":1}"#),
            (
                b"\xd6\xff\x00\x00\x00\x01",
                r#"{"__type__":"datetime","__value__":"1970-01-01T00:00:01+00:00"}"#,
            ),
            (
                b"\xd7\xff\x77\x35\x94\x00\x00\x00\x00\x01",
                r#"{"__type__":"datetime","__value__":"1970-01-01T00:00:01.500000+00:00"}"#,
            ),
            (
                b"\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
                r#"{"__type__":"datetime","__value__":"1969-12-31T23:59:59+00:00"}"#,
            ),
        ] {
            assert_eq!(json(bytes).as_deref(), Ok(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_value_of_a_task_is_refused() {
        for (bytes, words) in [
            (&b""[..], "in the middle"),
            (b"\xdd\xff\xff\xff\xff", "in the middle"),
            (b"\xdb\xff\xff\xff\xff", "in the middle"),
            (b"\xc1", "0xc1"),
            (b"\x01\x01", "goes on"),
            (b"\xa1\xff", "not UTF-8"),
            (b"\xd4\x05\x00", "extension 5"),
            (b"\xc7\x03\xff\x00\x00\x00", "timestamp"),
            (b"\xca\x7f\xc0\x00\x00", "NaN"),
            (b"\x81\xc4\x01a\x01", "not bytes"),
            (&[0x91; 200_000], "deeper than 128"),
        ] {
            let error = json(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(json) = json(&bytes) {
                serde_json::from_str::<serde_json::Value>(&json).unwrap();
            }
        }
    }
}
