//! Parameters: which calls of before can still be made, and mean the same.

use super::{Break, Task};
use celeriac_sandbox::{Param, ParamKind};

/// A list of parameters, as calls see it.
struct List<'a>(&'a [Param]);

impl<'a> List<'a> {
    /// Returns those that take arguments by position, in order.
    fn positional(&self) -> impl Iterator<Item = &'a Param> + use<'a> {
        let of = |param: &&Param| param.kind == ParamKind::PositionalOrKeyword;
        self.0.iter().filter(of)
    }

    /// Returns the parameter of a name, if arguments can be given by it.
    fn named(&self, name: &str) -> Option<&'a Param> {
        let mut named = self.0.iter().filter(|param| is_named(param));
        named.find(|param| param.name == name)
    }

    /// Returns the one that takes the rest of one kind.
    fn rest(&self, kind: ParamKind) -> Option<&'a Param> {
        self.0.iter().find(|param| param.kind == kind)
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.positional().position(|param| param.name == name)
    }
}

fn is_named(param: &Param) -> bool {
    match param.kind {
        ParamKind::PositionalOrKeyword | ParamKind::KeywordOnly => true,
        ParamKind::VarPositional | ParamKind::VarKeyword => false,
    }
}

impl Task<'_> {
    pub(super) fn parameters(&mut self, old: &[Param], new: &[Param]) {
        let (old, new) = (List(old), List(new));
        let mut renamed = Vec::new();
        for param in old.0.iter().filter(|param| is_named(param)) {
            match new.named(&param.name) {
                Some(now) => self.kept(param, now),
                None => renamed.extend(self.gone(param, &old, &new)),
            }
        }
        self.order(&old, &new);
        for kind in [ParamKind::VarPositional, ParamKind::VarKeyword] {
            self.rest(old.rest(kind), new.rest(kind));
        }
        for param in new.0.iter().filter(|param| is_named(param)) {
            if old.named(&param.name).is_none() && !renamed.contains(&param.name.as_str()) {
                self.added(param, &old);
            }
        }
    }

    /// Looks at a parameter that both have.
    fn kept(&mut self, old: &Param, new: &Param) {
        let name = Some(old.name.as_str());
        if new.required && !old.required {
            let what = "is required now; calls without it fail with TypeError";
            self.find(name, Break::BecameRequired, what);
        }
        if old.kind == ParamKind::PositionalOrKeyword && new.kind == ParamKind::KeywordOnly {
            let what = "is taken by name only now; calls by position fail with TypeError";
            self.find(name, Break::ByNameOnly, what);
        }
        self.taken(&old.name, old.schema.as_deref(), new.schema.as_deref());
    }

    /// Looks at a parameter that is not there any more, and returns its new name.
    fn gone<'a>(&mut self, param: &Param, old: &List<'_>, new: &List<'a>) -> Option<&'a str> {
        let (name, place) = (Some(param.name.as_str()), old.place(&param.name));
        let here = place.and_then(|place| new.positional().nth(place));
        if let Some(now) = here.filter(|now| old.named(&now.name).is_none()) {
            let what = format!(
                "is called {} now; calls with {}=… fail with TypeError",
                now.name, param.name
            );
            self.find(name, Break::ParameterRenamed, &what);
            return Some(&now.name);
        }
        let by_name = new.rest(ParamKind::VarKeyword);
        let by_place = here.is_none() && new.rest(ParamKind::VarPositional).is_some();
        match by_name {
            Some(rest) if place.is_none() || by_place => {
                self.taken(&param.name, param.schema.as_deref(), rest.schema.as_deref());
            }
            Some(_) | None => {
                let what = "is gone; calls with it fail with TypeError";
                self.find(name, Break::ParameterGone, what);
            }
        }
        None
    }

    /// Looks for the first argument by position that another parameter gets now.
    fn order(&mut self, old: &List<'_>, new: &List<'_>) {
        let moved = old.positional().enumerate().find_map(|(was, param)| {
            let now = new.place(&param.name)?;
            (was != now).then_some((param, was, now))
        });
        if let Some((param, was, now)) = moved {
            let what = format!(
                "is argument {} now, was {}; calls by position mean something else",
                now + 1,
                was + 1
            );
            self.find(Some(&param.name), Break::Moved, &what);
        }
    }

    /// Looks at what takes all further arguments.
    fn rest(&mut self, old: Option<&Param>, new: Option<&Param>) {
        match (old, new) {
            (Some(old), Some(new)) => {
                self.taken(&old.name, old.schema.as_deref(), new.schema.as_deref());
            }
            (Some(old), None) => {
                let what = "is gone; calls with further arguments fail with TypeError";
                self.find(Some(&old.name), Break::ParameterGone, what);
            }
            (None, _) => {}
        }
    }

    /// Looks at a parameter that was not there.
    fn added(&mut self, param: &Param, old: &List<'_>) {
        let name = Some(param.name.as_str());
        if param.required {
            let what = "is new and required; calls without it fail with TypeError";
            self.find(name, Break::NewRequired, what);
        }
        let by_place = param.kind == ParamKind::PositionalOrKeyword;
        if by_place && old.rest(ParamKind::VarPositional).is_some() {
            let what = "is new and takes an argument by position that was one of the rest";
            self.find(name, Break::Moved, what);
        }
        if let Some(rest) = old.rest(ParamKind::VarKeyword) {
            self.taken(&param.name, rest.schema.as_deref(), param.schema.as_deref());
        }
    }
}
