//! Python's pickle, protocols 0 to 5: a machine that builds plain data.
//!
//! Nothing a body names is ever called or looked up; [`construct`] knows a few
//! names as words for data, and every other is refused.

mod literal;
mod stack;

use super::construct::{self, Name};
use super::cursor::Cursor;
use super::document::{Document, Id, NODES, Node, too_many};
use super::typed::Typed;
use super::{BodyError, shown};
use stack::Stack;
use std::collections::HashMap;

/// The newest protocol.
const PROTOCOL: u8 = 5;

/// Reads a body.
pub(super) fn read(bytes: &[u8]) -> Result<Document, BodyError> {
    let mut machine = Machine {
        rest: Cursor::new(bytes),
        document: Document::default(),
        stack: Stack::default(),
        memo: HashMap::new(),
    };
    loop {
        let code = machine.rest.byte()?;
        if code == b'.' {
            let root = machine.stack.pop()?;
            return Ok(machine.document.with_root(root));
        }
        machine.step(code)?;
    }
}

struct Machine<'a> {
    rest: Cursor<'a>,
    document: Document,
    stack: Stack,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    /// Obeys one instruction, sorted by what it is about.
    fn step(&mut self, code: u8) -> Result<(), BodyError> {
        match code {
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let node = literal::scalar(&mut self.rest, code)?;
                self.push(node)
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d => {
                let text = literal::text(&mut self.rest, code)?;
                self.push(Node::Text(text.into()))
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let bytes = literal::bytes(&mut self.rest, code)?;
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

    fn shuffle(&mut self, code: u8) -> Result<(), BodyError> {
        match code {
            b'(' => self.stack.mark(),
            b'0' => self.stack.discard(),
            b'1' => self.stack.above_mark().map(|_| ()),
            _ => {
                let top = self.stack.top()?;
                self.stack.put(top)
            }
        }
    }

    fn remember(&mut self, code: u8) -> Result<(), BodyError> {
        let at = match code {
            b'p' | b'g' => {
                let line = self.rest.line()?;
                let text = std::str::from_utf8(line).ok();
                let at = text.and_then(|text| text.parse().ok());
                at.ok_or_else(|| literal::no_number(line))?
            }
            b'q' | b'h' => self.rest.byte()?.into(),
            b'r' | b'j' => u32::from_le_bytes(self.rest.array()?).into(),
            _ => self.memo.len() as u64,
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let known = self.memo.get(&at).copied();
            let id =
                known.ok_or_else(|| BodyError::malformed("the pickle remembers nothing there"))?;
            return self.stack.put(id);
        }
        let top = self.stack.top()?;
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
            b'd' => Node::Dict(pairs(&self.stack.above_mark()?)?),
            b'l' | b't' => Node::List(self.stack.above_mark()?),
            _ => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.push(self.stack.pop()?);
                }
                items.reverse();
                Node::List(items)
            }
        };
        self.push(node)
    }

    fn extend(&mut self, code: u8) -> Result<(), BodyError> {
        let items = match code {
            b'a' => vec![self.stack.pop()?],
            b's' => {
                let value = self.stack.pop()?;
                vec![self.stack.pop()?, value]
            }
            _ => self.stack.above_mark()?,
        };
        let onto = self.stack.top()?;
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
                let state = self.stack.pop()?;
                let onto = self.stack.top()?;
                construct::build(&mut self.document, onto, state)
            }
            _ => {
                let keywords = match code {
                    0x92 => Some(self.stack.pop()?),
                    _ => None,
                };
                let (arguments, callable) = (self.stack.pop()?, self.stack.pop()?);
                if keywords.is_some_and(|id| self.document.get(id) != Some(&Node::Dict(Vec::new())))
                {
                    return Err(construct::not_data("a class with keyword arguments"));
                }
                let made = construct::make(&mut self.document, callable, arguments)?;
                self.stack.put(made)
            }
        }
    }

    /// Reads what the pickle names.
    fn name(&mut self, code: u8) -> Result<Name, BodyError> {
        if code == 0x93 {
            let (name, module) = (self.stack.pop()?, self.stack.pop()?);
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
        self.stack.put(id)
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, BodyError> {
    let (pairs, rest) = items.as_chunks();
    if !rest.is_empty() {
        return Err(BodyError::malformed("a dict of the pickle has a key only"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

#[cfg(test)]
mod tests;
