//! Binds the arguments of a call to a task's parameters, by Python's rules and in Python's words.
//!
//! Arguments are cut out of the message's bytes unparsed, and each is parsed once, into its type.

mod json;
mod wording;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::TaskError;
use json::{Keyword, Keywords};

/// How a parameter takes its argument, in the terms of Python's `inspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// By position or by name.
    PositionalOrKeyword,
    /// All positional arguments that are left.
    VarPositional,
    /// By name only.
    KeywordOnly,
    /// All keyword arguments that are left.
    VarKeyword,
}

/// One parameter, as far as binding needs it.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// How it takes its argument.
    pub kind: ParamKind,
    /// Whether a call without it is an error.
    pub required: bool,
}

/// A task's name and parameters, positional ones first.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// The task's name.
    pub name: &'static str,
    /// The parameters in order.
    pub params: &'static [Parameter],
}

/// Arguments that fit a signature, still unparsed.
#[derive(Debug)]
pub struct Bound<'a> {
    signature: Signature,
    /// By the parameter's index; empty at variadic ones.
    named: Vec<Option<&'a RawValue>>,
    more_args: Vec<&'a RawValue>,
    more_kwargs: Vec<Keyword<'a>>,
}

impl Signature {
    /// Binds a JSON array and a JSON object of arguments.
    ///
    /// # Errors
    /// A `TypeError`, as Python words it.
    pub fn bind<'a>(self, args: &'a [u8], kwargs: &'a [u8]) -> Result<Bound<'a>, TaskError> {
        let mut positional: Vec<&'a RawValue> = serde_json::from_slice(args)
            .map_err(|error| wording::not_json(self, "an array of positional", &error))?;
        let Keywords(keywords) = serde_json::from_slice(kwargs)
            .map_err(|error| wording::not_json(self, "an object of keyword", &error))?;

        let takes = self.count(ParamKind::PositionalOrKeyword);
        let given = positional.len();
        let more_args = if given > takes {
            positional.split_off(takes)
        } else {
            Vec::new()
        };
        let mut bound = Bound {
            signature: self,
            named: Vec::new(),
            more_args,
            more_kwargs: Vec::new(),
        };
        bound.named.extend(positional.into_iter().map(Some));
        bound.named.resize(self.params.len(), None);

        bound.take_keywords(keywords, given.min(takes))?;
        if given > takes && self.count(ParamKind::VarPositional) == 0 {
            return Err(wording::too_many_positional(
                self,
                given,
                bound.keyword_only_given(),
            ));
        }
        bound.require(ParamKind::PositionalOrKeyword)?;
        bound.require(ParamKind::KeywordOnly)?;
        Ok(bound)
    }

    fn count(self, kind: ParamKind) -> usize {
        self.params
            .iter()
            .filter(|param| param.kind == kind)
            .count()
    }

    fn position(self, name: &str) -> Option<usize> {
        self.params.iter().position(|param| {
            matches!(
                param.kind,
                ParamKind::PositionalOrKeyword | ParamKind::KeywordOnly
            ) && param.name == name
        })
    }
}

impl<'a> Bound<'a> {
    /// Parses the argument of a required parameter.
    ///
    /// # Errors
    /// A `TypeError` that names the parameter, when the value is of another type.
    pub fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, TaskError> {
        match self.raw(index) {
            Some(raw) => self.parse(raw, || self.name(index).to_owned()),
            None => Err(wording::missing(
                self.signature,
                ParamKind::PositionalOrKeyword,
                &[self.name(index)],
            )),
        }
    }

    /// Parses the argument of a parameter, or makes its default.
    ///
    /// # Errors
    /// A `TypeError` that names the parameter, when the value is of another type.
    pub fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        default: impl FnOnce() -> T,
    ) -> Result<T, TaskError> {
        self.raw(index).map_or_else(
            || Ok(default()),
            |raw| self.parse(raw, || self.name(index).to_owned()),
        )
    }

    /// Parses the positional arguments that are left.
    ///
    /// # Errors
    /// A `TypeError` that names the parameter and the argument's place among the rest.
    pub fn var_positional<T: DeserializeOwned>(&self, index: usize) -> Result<Vec<T>, TaskError> {
        let parse = |(at, raw): (usize, &&'a RawValue)| {
            self.parse(raw, || format!("{}[{at}]", self.name(index)))
        };
        self.more_args.iter().enumerate().map(parse).collect()
    }

    /// Parses the keyword arguments that are left.
    ///
    /// # Errors
    /// A `TypeError` that names the argument.
    pub fn var_keyword<T: DeserializeOwned, M: FromIterator<(String, T)>>(
        &self,
    ) -> Result<M, TaskError> {
        let parse = |keyword: &Keyword<'a>| {
            let value = self.parse(keyword.value, || keyword.name.to_string())?;
            Ok((keyword.name.to_string(), value))
        };
        self.more_kwargs.iter().map(parse).collect()
    }

    fn take_keywords(&mut self, keywords: Vec<Keyword<'a>>, given: usize) -> Result<(), TaskError> {
        let collects = self.signature.count(ParamKind::VarKeyword) > 0;
        for keyword in keywords {
            match self.signature.position(&keyword.name) {
                Some(index) if index < given => {
                    return Err(wording::multiple_values(self.signature, &keyword.name));
                }
                Some(index) => {
                    if let Some(slot) = self.named.get_mut(index) {
                        *slot = Some(keyword.value);
                    }
                }
                None if collects => self.more_kwargs.push(keyword),
                None => return Err(wording::unexpected_keyword(self.signature, &keyword.name)),
            }
        }
        Ok(())
    }

    fn require(&self, kind: ParamKind) -> Result<(), TaskError> {
        let without = |(param, raw): (&'static Parameter, &Option<&RawValue>)| {
            (param.kind == kind && param.required && raw.is_none()).then_some(param.name)
        };
        let missing: Vec<_> = self
            .signature
            .params
            .iter()
            .zip(&self.named)
            .filter_map(without)
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(wording::missing(self.signature, kind, &missing))
        }
    }

    fn keyword_only_given(&self) -> usize {
        let params = self.signature.params.iter().zip(&self.named);
        params
            .filter(|(param, raw)| param.kind == ParamKind::KeywordOnly && raw.is_some())
            .count()
    }

    fn raw(&self, index: usize) -> Option<&'a RawValue> {
        self.named.get(index).copied().flatten()
    }

    fn name(&self, index: usize) -> &'static str {
        self.signature
            .params
            .get(index)
            .map_or("", |param| param.name)
    }

    fn parse<T: DeserializeOwned>(
        &self,
        raw: &RawValue,
        name: impl FnOnce() -> String,
    ) -> Result<T, TaskError> {
        serde_json::from_str(raw.get())
            .map_err(|error| wording::wrong_type(self.signature, &name(), &error))
    }
}

#[cfg(test)]
mod tests;
