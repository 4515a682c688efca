//! Plain data out of a pickle, as JSON: what we wrote, and what Python workers wrote.
//!
//! A pickle is a program, and anybody may have written it. The codes that make plain
//! data are followed, and no others; whatever else stands there is not read at all.

use serde_json::value::RawValue;

/// Most bytes that are copied while a pickle is followed (64 MiB): each list copies what
/// it holds, so that depth alone could cost the square of its length.
const COPIED: usize = 64 << 20;
/// Most values at once, and most that are remembered.
const VALUES: usize = 1_000_000;

/// A value that is being made.
#[derive(Debug, Clone)]
enum Item {
    Mark,
    Text(String),
    /// JSON that nothing is added to any more.
    Json(String),
    /// What stands between the brackets of a list.
    List(String),
    /// What stands between the braces of a dictionary.
    Dict(String),
}

/// Reads a pickle of plain data as JSON; `None` when it is of anything else.
pub(super) fn plain(pickle: &[u8]) -> Option<String> {
    let mut machine = Machine {
        rest: pickle,
        stack: Vec::new(),
        memo: Vec::new(),
        room: COPIED,
    };
    while machine.step()? {}
    let last = machine.stack.pop()?;
    machine.stack.is_empty().then_some(())?;
    machine.json(last)
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Item>,
    /// What later codes may refer to by its number.
    memo: Vec<Option<Item>>,
    room: usize,
}

impl<'a> Machine<'a> {
    /// Follows one code; `false` is the end.
    fn step(&mut self) -> Option<bool> {
        let [code] = self.take(1)? else { return None };
        match code {
            b'.' => return Some(false),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.push(Item::Mark)?,
            b'N' => self.word("null")?,
            0x88 => self.word("true")?,
            0x89 => self.word("false")?,
            b'K' | b'M' | b'J' | 0x8a | b'I' | b'L' | b'F' | b'G' => self.number(*code)?,
            b'X' | 0x8c | 0x8d => self.text(*code)?,
            b']' => self.push(Item::List(String::new()))?,
            b'}' => self.push(Item::Dict(String::new()))?,
            b')' => self.word("[]")?,
            b'a' => {
                let item = self.stack.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.stack.pop()?;
                let key = self.stack.pop()?;
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.insert(items)?;
            }
            b't' => {
                let items = self.marked()?;
                self.tuple(items)?;
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84))?;
                let items = self.stack.split_off(from);
                self.tuple(items)?;
            }
            b'q' | b'r' | 0x94 => self.remember(*code)?,
            b'h' | b'j' => self.recall(*code)?,
            _ => return None,
        }
        Some(true)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn line(&mut self) -> Option<&'a str> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).ok()
    }

    fn size(&mut self, bytes: usize) -> Option<usize> {
        let mut whole = [0; 8];
        whole.get_mut(..bytes)?.copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(whole)).ok()
    }

    fn push(&mut self, item: Item) -> Option<()> {
        self.stack.push(item);
        (self.stack.len() <= VALUES).then_some(())
    }

    fn word(&mut self, json: &str) -> Option<()> {
        self.push(Item::Json(json.to_owned()))
    }

    /// Counts what is copied.
    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.room = self.room.checked_sub(bytes)?;
        Some(())
    }

    fn number(&mut self, code: u8) -> Option<()> {
        let text = match code {
            b'K' => self.size(1)?.to_string(),
            b'M' => self.size(2)?.to_string(),
            b'J' => i32::from_le_bytes(self.take(4)?.try_into().ok()?).to_string(),
            b'G' => {
                let number = f64::from_be_bytes(self.take(8)?.try_into().ok()?);
                serde_json::Number::from_f64(number)?.to_string()
            }
            0x8a => {
                let length = self.size(1)?;
                long(self.take(length)?)?.to_string()
            }
            b'I' => match self.line()? {
                "00" => "false".to_owned(),
                "01" => "true".to_owned(),
                line => line.to_owned(),
            },
            _ => {
                let line = self.line()?;
                line.strip_suffix('L').unwrap_or(line).to_owned()
            }
        };
        serde_json::from_str::<&RawValue>(&text).ok()?;
        self.push(Item::Json(text))
    }

    fn text(&mut self, code: u8) -> Option<()> {
        let length = match code {
            0x8c => self.size(1)?,
            b'X' => self.size(4)?,
            _ => self.size(8)?,
        };
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Item::Text(text))
    }

    /// Takes what stands above the last mark, and the mark.
    fn marked(&mut self) -> Option<Vec<Item>> {
        let is_mark = |item: &Item| matches!(item, Item::Mark);
        let mark = self.stack.iter().rposition(is_mark)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop()?;
        Some(items)
    }

    fn json(&mut self, item: Item) -> Option<String> {
        let json = match item {
            Item::Mark => return None,
            Item::Text(text) => serde_json::to_string(&text).ok()?,
            Item::Json(json) => json,
            Item::List(inner) => format!("[{inner}]"),
            Item::Dict(inner) => format!("{{{inner}}}"),
        };
        self.spend(json.len())?;
        Some(json)
    }

    fn joined(&mut self, items: Vec<Item>, inner: &mut String) -> Option<()> {
        for item in items {
            let json = self.json(item)?;
            if !inner.is_empty() {
                inner.push(',');
            }
            inner.push_str(&json);
        }
        Some(())
    }

    fn append(&mut self, items: Vec<Item>) -> Option<()> {
        let Item::List(mut inner) = self.stack.pop()? else {
            return None;
        };
        self.joined(items, &mut inner)?;
        self.push(Item::List(inner))
    }

    fn tuple(&mut self, items: Vec<Item>) -> Option<()> {
        let mut inner = String::new();
        self.joined(items, &mut inner)?;
        self.push(Item::Json(format!("[{inner}]")))
    }

    fn insert(&mut self, items: Vec<Item>) -> Option<()> {
        let Item::Dict(mut inner) = self.stack.pop()? else {
            return None;
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            // What is no text as a key becomes text, as Python's own JSON does it.
            let key = match key {
                Item::Text(text) | Item::Json(text) => Item::Text(text),
                Item::Mark | Item::List(_) | Item::Dict(_) => return None,
            };
            let (key, value) = (self.json(key)?, self.json(value)?);
            if !inner.is_empty() {
                inner.push(',');
            }
            inner.push_str(&key);
            inner.push(':');
            inner.push_str(&value);
        }
        self.push(Item::Dict(inner))
    }

    /// Remembers the last value. One that may still grow cannot be referred to later.
    fn remember(&mut self, code: u8) -> Option<()> {
        let at = match code {
            b'q' => self.size(1)?,
            b'r' => self.size(4)?,
            _ => self.memo.len(),
        };
        let item = match self.stack.last()? {
            Item::Text(text) => Some(Item::Text(text.clone())),
            Item::Json(json) => Some(Item::Json(json.clone())),
            Item::Mark | Item::List(_) | Item::Dict(_) => None,
        };
        self.spend(item.as_ref().map_or(0, weight))?;
        if at >= VALUES {
            return None;
        }
        if self.memo.len() <= at {
            self.memo.resize(at + 1, None);
        }
        *self.memo.get_mut(at)? = item;
        Some(())
    }

    fn recall(&mut self, code: u8) -> Option<()> {
        let at = match code {
            b'h' => self.size(1)?,
            _ => self.size(4)?,
        };
        let item = self.memo.get(at)?.clone()?;
        self.spend(weight(&item))?;
        self.push(item)
    }
}

fn weight(item: &Item) -> usize {
    match item {
        Item::Mark => 0,
        Item::Text(text) | Item::Json(text) | Item::List(text) | Item::Dict(text) => text.len(),
    }
}

/// Reads a number of two's complement, the lowest byte first; of at most 16 bytes.
fn long(bytes: &[u8]) -> Option<i128> {
    let is_negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
    let mut whole = [if is_negative { 0xff } else { 0 }; 16];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i128::from_le_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_read_of_any_bytes_is_one_value_of_bearable_length() {
        let seeds: [&[u8]; 4] = [
            b"\x80\x05\x95\x1f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01G@\x04\x00\x00\x00\x00\x00\x00Ne\x8c\x01b\x94h\x01u.",
            b"\x80\x02X\x01\0\0\0aq\x00h\x00\x86\x8a\x01\xff\x86.",
            b"(I1\nL2L\nF1.5\nt.",
            b"\x80\x04]\x94(h\x00h\x00e.",
        ];
        let words: [&[u8]; 8] = [
            b"(",
            b"]",
            b"}",
            b"e",
            b"u",
            b"h\x00",
            b"\x94",
            b"X\xff\xff\xff\xff",
        ];
        let corpus = support::Corpus::new(seeds.map(<[u8]>::to_vec).to_vec(), &words);
        let mut read = 0;
        for script in support::scripts(5_000) {
            let pickle = corpus.changed(&script);
            if let Some(json) = plain(&pickle) {
                read += 1;
                assert!(
                    serde_json::from_str::<&RawValue>(&json).is_ok(),
                    "{pickle:?}"
                );
                assert!(json.len() <= COPIED, "{}", json.len());
            }
        }
        assert!(read > 50, "{read}");
    }

    /// What `pickle.dumps` of Python 3.11 writes, by protocol.
    #[test]
    fn what_python_wrote_is_read() {
        let five: &[u8] =
            b"\x80\x05\x95\x1f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01G@\x04\x00\x00\x00\x00\x00\x00Ne\x8c\x01b\x94h\x01u.";
        assert_eq!(
            plain(five).as_deref(),
            Some(r#"{"a":[1,2.5,null],"b":"a"}"#)
        );
        for (pickle, json) in [
            (b"\x80\x02\x8a\x01\xff.".as_slice(), "-1"),
            (b"\x80\x02M\x10\x27.", "10000"),
            (b"\x80\x02J\xff\xff\xff\xff.", "-1"),
            (b"\x80\x02K\x01K\x02\x86q\x00.", "[1,2]"),
            (b"\x80\x02}q\x00K\x01\x88s.", r#"{"1":true}"#),
            (b"\x80\x02X\x01\0\0\0aq\x00h\x00\x86.", r#"["a","a"]"#),
            (b"\x80\x02)\x85.", "[[]]"),
            (b"I01\n.", "true"),
            (b"(I1\nL2L\nt.", "[1,2]"),
        ] {
            assert_eq!(plain(pickle).as_deref(), Some(json), "{pickle:?}");
        }
    }

    #[test]
    fn whatever_is_not_plain_data_is_not_read() {
        for pickle in [
            b"".as_slice(),
            b".",
            b"\x80\x02",
            b"\x80\x02K",
            b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.",
            b"\x80\x02}]K\x01s.",
            b"\x80\x02e.",
            b"\x80\x02u.",
            b"\x80\x02\x86.",
            b"\x80\x02(.",
            b"\x80\x02K\x01K\x02.",
            b"\x80\x02h\x07.",
            b"\x80\x02X\xff\xff\xff\xffa.",
            b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
            b"\x80\x02G\x7f\xf8\0\0\0\0\0\0.",
            b"\x80\x02Fnan\n.",
            b"\x80\x02]q\x00h\x00a.",
            b"\x80\x02K\x01r\xff\xff\xff\xff.",
            b"\x80\x02\x8a\x11aaaaaaaaaaaaaaaaa.",
        ] {
            assert_eq!(plain(pickle), None, "{pickle:?}");
        }
    }

    #[test]
    fn a_pickle_that_would_grow_without_end_is_not_read() {
        // Each line doubles what the one before made.
        let mut doubling = b"\x80\x02X\x0a\0\0\0aaaaaaaaaaq\x00".to_vec();
        for at in 0..60_u8 {
            doubling.extend_from_slice(&[b'h', at, b'h', at, 0x86, b'q', at + 1]);
        }
        doubling.push(b'.');
        assert_eq!(plain(&doubling), None);
        let deep = [b"\x80\x02".to_vec(), b"]".repeat(1_000_001)].concat();
        assert_eq!(plain(&deep), None);
        let nested = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
        assert_eq!(plain(&nested), None, "the square of its depth");
    }
}
