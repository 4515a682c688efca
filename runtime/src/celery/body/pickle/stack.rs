//! The stack of the machine, with its marks.

use crate::celery::body::BodyError;
use crate::celery::body::document::{Id, NODES, too_many};

/// Values, and heights at which marks were set; nothing below the last is reached.
#[derive(Debug, Default)]
pub(super) struct Stack {
    values: Vec<Id>,
    marks: Vec<usize>,
}

impl Stack {
    /// Puts a value on top.
    pub(super) fn put(&mut self, id: Id) -> Result<(), BodyError> {
        if self.values.len() >= NODES {
            return Err(too_many());
        }
        self.values.push(id);
        Ok(())
    }

    /// Takes the top.
    pub(super) fn pop(&mut self) -> Result<Id, BodyError> {
        match self.values.len() {
            height if height > self.bottom() => self.values.pop().ok_or_else(nothing_there),
            _ => Err(nothing_there()),
        }
    }

    /// Returns the top, and leaves it.
    pub(super) fn top(&self) -> Result<Id, BodyError> {
        let top = self.values.last();
        let top = top.filter(|_| self.values.len() > self.bottom());
        top.copied().ok_or_else(nothing_there)
    }

    /// Sets a mark above the top.
    pub(super) fn mark(&mut self) -> Result<(), BodyError> {
        if self.marks.len() >= NODES {
            return Err(too_many());
        }
        self.marks.push(self.values.len());
        Ok(())
    }

    /// Takes the top away or, as Python's own machine does, a mark above which is nothing.
    pub(super) fn discard(&mut self) -> Result<(), BodyError> {
        if self.marks.last() == Some(&self.values.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }

    /// Takes all above the last mark, and the mark.
    pub(super) fn above_mark(&mut self) -> Result<Vec<Id>, BodyError> {
        let mark = self.marks.pop().ok_or_else(nothing_there)?;
        Ok(self.values.split_off(mark.min(self.values.len())))
    }

    fn bottom(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
}

fn nothing_there() -> BodyError {
    BodyError::malformed("the pickle takes from an empty stack")
}
