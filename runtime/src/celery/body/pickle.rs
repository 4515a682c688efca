//! Python's pickle, protocols 0 to 5: a machine that builds plain data.
//!
//! Nothing a body names is ever called or looked up; [`construct`] knows a few
//! names as words for data, and every other is refused.

use super::construct::{self, Name};
use super::cursor::Cursor;
use super::document::{Document, Id, NODES, Node, too_many};
use super::typed::Typed;
use super::{BodyError, number, shown};
use std::collections::HashMap;

/// The newest protocol.
const PROTOCOL: u8 = 5;

/// Reads a body.
pub(super) fn read(bytes: &[u8]) -> Result<Document, BodyError> {
    let mut machine = Machine {
        rest: Cursor::new(bytes),
        document: Document::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let code = machine.rest.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(machine.document.with_root(root));
        }
        machine.step(code)?;
    }
}

struct Machine<'a> {
    rest: Cursor<'a>,
    document: Document,
    stack: Vec<Id>,
    /// Heights of the stack at its marks; nothing below the last is reached.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Obeys one instruction, sorted by what it is about.
    fn step(&mut self, code: u8) -> Result<(), BodyError> {
        match code {
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let node = self.scalar(code)?;
                self.push(node)
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d => {
                let text = self.text(code)?;
                self.push(Node::Text(text.into()))
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = match code {
                    b'C' => self.rest.byte()?.into(),
                    b'B' => u32::from_le_bytes(self.rest.array()?).into(),
                    _ => u64::from_le_bytes(self.rest.array()?),
                };
                let bytes = self.rest.take(length)?;
                self.push(Node::Bytes(bytes.into()))
            }
            b'(' | b'0' | b'1' | b'2' => self.shuffle(code),
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(code),
            b']' | b'}' | b')' | b'l' | b'd' | b't' | 0x85..=0x87 => self.collect(code),
            b'a' | b'e' | b's' | b'u' => self.extend(code),
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' => self.construct(code),
            0x80 => match self.rest.byte()? {
                0..=PROTOCOL => Ok(()),
                other => Err(BodyError::malformed(format!(
                    "pickle protocol {other} is not known; at most {PROTOCOL} is"
                ))),
            },
            0x95 => self.rest.array::<8>().map(|_| ()),
            _ => Err(self.refused(code)),
        }
    }

    /// Says why an instruction is not obeyed.
    fn refused(&mut self, code: u8) -> BodyError {
        let what = match code {
            0x8f..=0x91 => return construct::no_set(),
            b'i' | b'o' => match (code, self.rest.line(), self.rest.line()) {
                (b'i', Ok(module), Ok(name)) => {
                    let [module, name] = [module, name].map(String::from_utf8_lossy);
                    return construct::not_data(&shown(&format!("{module}.{name}")));
                }
                _ => "an instance of a class",
            },
            b'P' | b'Q' => "a persistent id",
            0x82..=0x84 => "an extension code",
            0x97 | 0x98 => "an out-of-band buffer",
            _ => {
                return BodyError::malformed(format!("{code:#04x} is no instruction of pickle"));
            }
        };
        BodyError::not_accepted(format!(
            "the pickle holds {what}, which is not plain data; send plain data"
        ))
    }

    fn scalar(&mut self, code: u8) -> Result<Node, BodyError> {
        let rest = &mut self.rest;
        let number = match code {
            b'N' => return Ok(Node::Null),
            0x88 | 0x89 => return Ok(Node::Bool(code == 0x88)),
            b'I' => match rest.line()? {
                b"00" => return Ok(Node::Bool(false)),
                b"01" => return Ok(Node::Bool(true)),
                line => whole(line)?,
            },
            b'L' => {
                let line = rest.line()?;
                whole(line.strip_suffix(b"L").unwrap_or(line))?
            }
            b'J' => i32::from_le_bytes(rest.array()?).to_string(),
            b'K' => rest.byte()?.to_string(),
            b'M' => u16::from_le_bytes(rest.array()?).to_string(),
            0x8a => {
                let length = rest.byte()?;
                number::long(rest.take(length.into())?)?
            }
            0x8b => {
                let length = u32::from_le_bytes(rest.array()?);
                number::long(rest.take(length.into())?)?
            }
            b'G' => number::float(f64::from_be_bytes(rest.array()?))?,
            _ => {
                let line = rest.line()?;
                let text = std::str::from_utf8(line).ok();
                let float = text.and_then(|text| text.trim().parse().ok());
                number::float(float.ok_or_else(|| no_number(line))?)?
            }
        };
        Ok(Node::Number(number.into()))
    }

    fn text(&mut self, code: u8) -> Result<String, BodyError> {
        let rest = &mut self.rest;
        let length = match code {
            b'S' => return old_text(rest.line()?),
            b'V' => return raw_text(rest.line()?),
            b'U' | 0x8c => rest.byte()?.into(),
            b'T' | b'X' => u32::from_le_bytes(rest.array()?).into(),
            _ => u64::from_le_bytes(rest.array()?),
        };
        let bytes = rest.take(length)?;
        let is_old = matches!(code, b'T' | b'U');
        if is_old && !bytes.is_ascii() {
            return Err(not_ascii());
        }
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|error| {
            BodyError::malformed(format!("a text of the pickle is not UTF-8: {error}"))
        })?;
        Ok(text.to_owned())
    }

    fn shuffle(&mut self, code: u8) -> Result<(), BodyError> {
        match code {
            b'(' => {
                if self.marks.len() >= NODES {
                    return Err(too_many());
                }
                self.marks.push(self.stack.len());
            }
            // Python's own machine takes a mark away where nothing is above it.
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.above_mark()?;
            }
            _ => {
                let top = self.top()?;
                self.put(top)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), BodyError> {
        let at = match code {
            b'p' | b'g' => {
                let line = self.rest.line()?;
                let text = std::str::from_utf8(line).ok();
                let at = text.and_then(|text| text.parse().ok());
                at.ok_or_else(|| no_number(line))?
            }
            b'q' | b'h' => self.rest.byte()?.into(),
            b'r' | b'j' => u32::from_le_bytes(self.rest.array()?).into(),
            _ => self.memo.len() as u64,
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let known = self.memo.get(&at).copied();
            let id =
                known.ok_or_else(|| BodyError::malformed("the pickle remembers nothing there"))?;
            return self.put(id);
        }
        let top = self.top()?;
        if self.memo.len() >= NODES {
            return Err(too_many());
        }
        self.memo.insert(at, top);
        Ok(())
    }

    fn collect(&mut self, code: u8) -> Result<(), BodyError> {
        let node = match code {
            b']' | b')' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b'd' => Node::Dict(pairs(&self.above_mark()?)?),
            b'l' | b't' => Node::List(self.above_mark()?),
            _ => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.push(self.pop()?);
                }
                items.reverse();
                Node::List(items)
            }
        };
        self.push(node)
    }

    fn extend(&mut self, code: u8) -> Result<(), BodyError> {
        let items = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.above_mark()?,
        };
        let onto = self.top()?;
        match (code, self.document.get_mut(onto)) {
            (b'a' | b'e', Some(Node::List(list))) => list.extend(items),
            (b's' | b'u', Some(Node::Dict(dict))) => dict.extend(pairs(&items)?),
            _ => {
                return Err(BodyError::malformed(
                    "the pickle adds to what is no list and no dict",
                ));
            }
        }
        Ok(())
    }

    fn construct(&mut self, code: u8) -> Result<(), BodyError> {
        match code {
            b'c' | 0x93 => {
                let name = self.name(code)?;
                self.push(Node::Typed(Box::new(Typed::Name(name))))
            }
            b'b' => {
                let state = self.pop()?;
                let onto = self.top()?;
                construct::build(&mut self.document, onto, state)
            }
            _ => {
                let keywords = match code {
                    0x92 => Some(self.pop()?),
                    _ => None,
                };
                let (arguments, callable) = (self.pop()?, self.pop()?);
                if keywords.is_some_and(|id| self.document.get(id) != Some(&Node::Dict(Vec::new())))
                {
                    return Err(construct::not_data("a class with keyword arguments"));
                }
                let made = construct::make(&mut self.document, callable, arguments)?;
                self.put(made)
            }
        }
    }

    /// Reads what the pickle names.
    fn name(&mut self, code: u8) -> Result<Name, BodyError> {
        if code == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            let (module, name) = (self.document.str(module), self.document.str(name));
            let (Some(module), Some(name)) = (module, name) else {
                return Err(BodyError::malformed("the pickle names what is no text"));
            };
            return construct::known(module, name);
        }
        let (module, name) = (self.rest.line()?, self.rest.line()?);
        let [module, name] = [module, name].map(String::from_utf8_lossy);
        construct::known(&module, &name)
    }

    fn push(&mut self, node: Node) -> Result<(), BodyError> {
        let id = self.document.add(node)?;
        self.put(id)
    }

    fn put(&mut self, id: Id) -> Result<(), BodyError> {
        if self.stack.len() >= NODES {
            return Err(too_many());
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, BodyError> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() {
            height if height > bottom => self.stack.pop().ok_or_else(nothing_there),
            _ => Err(nothing_there()),
        }
    }

    fn top(&self) -> Result<Id, BodyError> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| self.stack.len() > bottom);
        top.copied().ok_or_else(nothing_there)
    }

    /// Takes all above the last mark, and the mark.
    fn above_mark(&mut self) -> Result<Vec<Id>, BodyError> {
        let mark = self.marks.pop().ok_or_else(nothing_there)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, BodyError> {
    let (pairs, rest) = items.as_chunks();
    if !rest.is_empty() {
        return Err(BodyError::malformed("a dict of the pickle has a key only"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

fn whole(line: &[u8]) -> Result<String, BodyError> {
    let text = std::str::from_utf8(line).ok();
    let number = text.and_then(|text| number::whole(text.trim()));
    number.ok_or_else(|| no_number(line))?
}

/// A text of Python 2, printed as it printed it.
fn old_text(line: &[u8]) -> Result<String, BodyError> {
    let quoted = line
        .strip_prefix(b"'")
        .and_then(|line| line.strip_suffix(b"'"));
    let quoted = quoted.or_else(|| line.strip_prefix(b"\"")?.strip_suffix(b"\""));
    let text = quoted.and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(not_ascii)?;
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        let plain = match next {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('x') => hex(&mut rest, 2).ok_or_else(not_ascii)?,
                Some(same @ ('\\' | '\'' | '"')) => same,
                _ => return Err(not_ascii()),
            },
            other => other,
        };
        if !plain.is_ascii() {
            return Err(not_ascii());
        }
        out.push(plain);
    }
    Ok(out)
}

/// A text in Python's raw-unicode-escape: Latin-1, and `\uXXXX` for the rest.
fn raw_text(line: &[u8]) -> Result<String, BodyError> {
    let mut out = String::new();
    let latin: String = line.iter().copied().map(char::from).collect();
    let mut rest = latin.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        let ahead = rest.clone().next();
        let digits = match ahead {
            Some('u') => 4,
            Some('U') => 8,
            _ => {
                // A lone backslash is one; of two, neither begins an escape.
                out.push('\\');
                if ahead == Some('\\') {
                    out.push('\\');
                    rest.next();
                }
                continue;
            }
        };
        rest.next();
        let escaped = hex(&mut rest, digits);
        out.push(escaped.ok_or_else(|| {
            BodyError::malformed("an escape in a text of the pickle is no character")
        })?);
    }
    Ok(out)
}

fn hex(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let mut value = 0_u32;
    for _ in 0..digits {
        value = value.checked_mul(16)? + rest.next()?.to_digit(16)?;
    }
    char::from_u32(value)
}

fn nothing_there() -> BodyError {
    BodyError::malformed("the pickle takes from an empty stack")
}

fn not_ascii() -> BodyError {
    BodyError::malformed("a text of Python 2 in the pickle is not ASCII; send unicode")
}

fn no_number(line: &[u8]) -> BodyError {
    let line = String::from_utf8_lossy(line);
    BodyError::malformed(format!("{:?} in the pickle is no number", shown(&line)))
}

#[cfg(test)]
mod tests;
