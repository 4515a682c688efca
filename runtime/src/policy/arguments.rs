//! Whether the arguments of a call are what the task takes: names and numbers as its
//! signature has them, values as its schemas describe them.
//!
//! A guest checks its arguments by itself when it runs. This tells a caller before
//! anything is sent, and never lets a call be refused that the guest would take, except
//! where a schema is too much to be checked. Values are looked at here and sent as the
//! text that came.

mod given;
mod schema;
mod survey;
mod weigh;

pub use given::GIVEN;
pub use schema::{PATTERN_BYTES, PATTERNS, SCHEMA_BYTES, SchemaError};
pub use survey::SUBSCHEMAS;
pub use weigh::{DEPTH, STEPS};

use celeriac_sandbox::{Param, ParamKind, TaskInfo};
use given::{Given, Named};
use schema::Schema;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use weigh::Budget;

/// Longest part of a value, or of what is wrong with it, that a message shows, characters.
const SHOWN: usize = 200;

/// Why a call does not fit its task. Each names the parameter, where it is about one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The positional arguments are no array of at most [`GIVEN`] values.
    #[error("args is not a JSON array of at most {GIVEN} values: {reason}")]
    Args {
        /// What is wrong.
        reason: String,
    },
    /// The keyword arguments are no object of at most [`GIVEN`] members.
    #[error("kwargs is not a JSON object of at most {GIVEN} members: {reason}")]
    Kwargs {
        /// What is wrong.
        reason: String,
    },
    /// There are more positional arguments than parameters.
    #[error("{task} takes at most {most} positional arguments, and {given} were given")]
    TooMany {
        /// The signature of the task.
        task: String,
        /// How many it takes.
        most: usize,
        /// How many there are.
        given: usize,
    },
    /// No parameter has that name.
    #[error("{task} has no parameter {parameter:?}")]
    Unexpected {
        /// The signature of the task.
        task: String,
        /// The name.
        parameter: String,
    },
    /// An argument is given by position and by name.
    #[error("{parameter:?} is given by position and by name")]
    Twice {
        /// The name.
        parameter: String,
    },
    /// An argument is not given.
    #[error("{task} needs {parameter:?}, which is not given")]
    Missing {
        /// The signature of the task.
        task: String,
        /// The name.
        parameter: String,
    },
    /// A value is not what the schema of its parameter describes.
    #[error("{parameter:?}{} is {value}, but {expected}", at(.place))]
    Value {
        /// The name.
        parameter: String,
        /// Where in the argument it is, as a JSON pointer; empty for the whole.
        place: String,
        /// Its beginning.
        value: String,
        /// What the schema says.
        expected: String,
    },
    /// Comparing the value with its schema would take too long.
    #[error(
        "{parameter:?} is too much for its schema: comparing them takes over {STEPS} steps or {DEPTH} levels (fixed)"
    )]
    TooMuch {
        /// The name.
        parameter: String,
    },
    /// The schema of the parameter cannot be used.
    #[error("the schema of {parameter:?} cannot be used: {reason}")]
    Schema {
        /// The name.
        parameter: String,
        /// Why.
        reason: SchemaError,
    },
}

impl Unfit {
    /// Returns the name of the parameter it is about.
    #[must_use]
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Args { .. } | Self::Kwargs { .. } | Self::TooMany { .. } => None,
            Self::Unexpected { parameter, .. }
            | Self::Twice { parameter }
            | Self::Missing { parameter, .. }
            | Self::Value { parameter, .. }
            | Self::TooMuch { parameter }
            | Self::Schema { parameter, .. } => Some(parameter),
        }
    }
}

fn at(place: &str) -> String {
    match place {
        "" => String::new(),
        _ => format!(" at {place}"),
    }
}

/// What a task takes, ready to compare calls with. Made once for each version of a task.
#[derive(Debug)]
pub struct Arguments {
    task: String,
    params: Vec<Parameter>,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    kind: ParamKind,
    required: bool,
    /// `None` where it takes any value.
    schema: Option<Result<Schema, SchemaError>>,
}

impl Arguments {
    /// Prepares what a component says about a task. A schema that cannot be used is told
    /// to whoever gives its parameter a value.
    #[must_use]
    pub fn of(task: &TaskInfo) -> Self {
        let mut patterns = PATTERNS;
        let parameter = |param: &Param| Parameter {
            name: param.name.clone(),
            kind: param.kind,
            required: param.required,
            schema: param
                .schema
                .as_deref()
                .map(|text| Schema::read(text, &mut patterns)),
        };
        Self {
            task: task.signature(),
            params: task.params.iter().map(parameter).collect(),
        }
    }

    /// Compares a call with what the task takes: `args` is a JSON array, `kwargs` a JSON
    /// object. It may take some hundred milliseconds of CPU time.
    ///
    /// # Errors
    /// [`Unfit`], the first thing that is wrong.
    pub fn check(&self, args: &RawValue, kwargs: &RawValue) -> Result<(), Unfit> {
        let Given(args) = serde_json::from_str(args.get()).map_err(|error| Unfit::Args {
            reason: error.to_string(),
        })?;
        let Named(kwargs) = serde_json::from_str(kwargs.get()).map_err(|error| Unfit::Kwargs {
            reason: error.to_string(),
        })?;
        let mut budget = Budget::default();
        let places: Vec<_> = self.of_kind(ParamKind::PositionalOrKeyword).collect();
        let rest = self.of_kind(ParamKind::VarPositional).next();
        let mut given = BTreeSet::new();
        for (at, value) in args.iter().enumerate() {
            match (places.get(at), rest) {
                (Some(param), _) => {
                    param.check(&param.name, value, &mut budget)?;
                    given.insert(param.name.as_str());
                }
                (None, Some(rest)) => {
                    let name = format!("{}[{}]", rest.name, at.saturating_sub(places.len()));
                    rest.check(&name, value, &mut budget)?;
                }
                (None, None) => {
                    return Err(Unfit::TooMany {
                        task: self.task.clone(),
                        most: places.len(),
                        given: args.len(),
                    });
                }
            }
        }
        for (name, value) in &kwargs {
            let param = self.named(name)?;
            if !given.insert(name) {
                return Err(Unfit::Twice {
                    parameter: shown(name),
                });
            }
            param.check(name, value, &mut budget)?;
        }
        let is_missing =
            |param: &&Parameter| param.required && !given.contains(param.name.as_str());
        let missing = self.params.iter().filter(|param| param.is_named());
        let missing = missing.into_iter().find(is_missing);
        match missing {
            None => Ok(()),
            Some(param) => Err(Unfit::Missing {
                task: self.task.clone(),
                parameter: param.name.clone(),
            }),
        }
    }

    fn of_kind(&self, kind: ParamKind) -> impl Iterator<Item = &Parameter> {
        self.params.iter().filter(move |param| param.kind == kind)
    }

    /// Returns the parameter that takes an argument of this name.
    fn named(&self, name: &str) -> Result<&Parameter, Unfit> {
        let own = self
            .params
            .iter()
            .find(|param| param.is_named() && param.name == name);
        own.or_else(|| self.of_kind(ParamKind::VarKeyword).next())
            .ok_or_else(|| Unfit::Unexpected {
                task: self.task.clone(),
                parameter: shown(name),
            })
    }
}

impl Parameter {
    /// Tells whether it takes one argument, which may be given by its name.
    fn is_named(&self) -> bool {
        match self.kind {
            ParamKind::PositionalOrKeyword | ParamKind::KeywordOnly => true,
            ParamKind::VarPositional | ParamKind::VarKeyword => false,
        }
    }

    fn check(&self, name: &str, value: &RawValue, budget: &mut Budget) -> Result<(), Unfit> {
        match &self.schema {
            None => Ok(()),
            Some(Ok(schema)) => schema.check(name, value, budget),
            Some(Err(reason)) => Err(Unfit::Schema {
                parameter: shown(name),
                reason: reason.clone(),
            }),
        }
    }
}

/// Returns the beginning of a text of somebody else's.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
