//! Whether a JSON Schema takes less than another, where that can be told.

use super::bounds;
use super::shape::{Kind, Shape, shapes};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most comparisons of two parts of schemas in one push (200,000, a fraction of a second):
/// what is compared after that counts as the same.
const STEPS: usize = 200_000;
/// Deepest nesting that is looked at.
const DEPTH: usize = 24;
/// Most findings about one schema.
const FINDINGS: usize = 8;
/// Most values of an enumeration that are told.
const VALUES: usize = 6;
/// Most characters of a value, or of a name within a schema, that are told.
const SHOWN: usize = 60;

/// One way in which a schema takes less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Less {
    /// Where in the value, as in `.size` or `[]`; empty for the value itself.
    path: String,
    what: What,
}

/// What it does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// All values of a kind.
    Kind(Kind),
    /// Numbers that are not whole.
    Fractions,
    /// One value of several.
    Value(String),
    /// All but these.
    Others(String),
    /// What lies beyond a bound, or breaks a rule.
    Bound {
        rule: &'static str,
        wide: Option<String>,
        narrow: String,
    },
    /// Objects without this property.
    Without(String),
    /// Objects with this property.
    With(String),
    /// Objects with further properties.
    Further,
    /// Anything.
    Anything,
}

impl Less {
    /// Says it of a parameter whose schema takes less than before.
    pub(super) fn of_parameter(&self) -> String {
        let at = match self.path.as_str() {
            "" => String::new(),
            path => format!("at {path} "),
        };
        let what = match &self.what {
            What::Kind(kind) => format!("no longer takes {}", kind.word()),
            What::Fractions => "takes only whole numbers now".to_owned(),
            What::Value(value) => format!("no longer takes {value}"),
            What::Others(values) => format!("takes only {values} now"),
            What::Bound { rule, wide, narrow } => {
                let was = wide.as_deref().unwrap_or("none");
                format!("has {rule} {narrow} now, was {was}")
            }
            What::Without(name) => format!("needs the property {name} now"),
            What::With(name) => format!("no longer takes the property {name}"),
            What::Further => "no longer takes other properties".to_owned(),
            What::Anything => "no longer takes anything".to_owned(),
        };
        format!("{at}{what}")
    }

    /// Says it of a result, where the schema of before takes less than the one of now;
    /// `None` where callers would not mind.
    pub(super) fn of_result(&self) -> Option<String> {
        let at = &self.path;
        let what = match &self.what {
            What::Kind(kind) => format!("may be {} now", kind.word()),
            What::Fractions => "may be a number that is not whole now".to_owned(),
            What::Value(value) => format!("may be {value} now"),
            What::Others(values) => format!("may be other than {values} now"),
            What::Bound { rule, wide, narrow } => {
                let now = wide.as_deref().unwrap_or("none");
                format!("has {rule} {now} now, was {narrow}")
            }
            What::Without(name) => format!("may lack the property {name} now"),
            // More than was promised.
            What::With(_) | What::Further => return None,
            What::Anything => "was told never to be there".to_owned(),
        };
        Some(format!("result{at} {what}"))
    }
}

/// Compares schemas, as long as there are steps left.
#[derive(Debug)]
pub(super) struct Steps(usize);

impl Steps {
    pub(super) fn new() -> Self {
        Self(STEPS)
    }

    /// Tells what `narrow` does not take and `wide` does.
    pub(super) fn less(&mut self, wide: &str, narrow: &str) -> Vec<Less> {
        if wide == narrow {
            return Vec::new();
        }
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let (Some(wide), Some(narrow)) = (read(wide), read(narrow)) else {
            return Vec::new();
        };
        let mut compared = Compared {
            steps: &mut self.0,
            wide: &wide,
            narrow: &narrow,
            under_way: Vec::new(),
        };
        let mut found = compared.schemas(&wide, &narrow, "");
        found.truncate(FINDINGS);
        found
    }
}

/// Two schemas, and which of their parts are being compared.
struct Compared<'a> {
    steps: &'a mut usize,
    wide: &'a Value,
    narrow: &'a Value,
    /// A type that holds itself is compared once.
    under_way: Vec<(*const Value, *const Value)>,
}

impl<'a> Compared<'a> {
    fn schemas(&mut self, wide: &'a Value, narrow: &'a Value, path: &str) -> Vec<Less> {
        let pair = (std::ptr::from_ref(wide), std::ptr::from_ref(narrow));
        let is_over = pair.0 == pair.1 || self.under_way.len() >= DEPTH;
        if is_over || self.under_way.contains(&pair) || !self.step(1) {
            return Vec::new();
        }
        let taken_apart = (shapes(self.wide, wide), shapes(self.narrow, narrow));
        let (Some(wide), Some(narrow)) = taken_apart else {
            return Vec::new();
        };
        if !self.step(wide.len() + narrow.len()) {
            return Vec::new();
        }
        if narrow.is_empty() {
            let nothing = wide.is_empty();
            return match nothing {
                true => Vec::new(),
                false => vec![less(path, What::Anything)],
            };
        }
        self.under_way.push(pair);
        let mut found: Vec<Less> = Vec::new();
        for shape in &wide {
            for one in self.shape(shape, &narrow, path) {
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            if found.len() > FINDINGS {
                break;
            }
        }
        self.under_way.pop();
        found
    }

    /// Takes so many steps, and tells whether there are any left.
    fn step(&mut self, steps: usize) -> bool {
        *self.steps = self.steps.saturating_sub(steps);
        *self.steps > 0
    }

    /// Tells what of a shape none of some others takes.
    fn shape(&mut self, wide: &Shape<'a>, narrow: &[Shape<'a>], path: &str) -> Vec<Less> {
        if !self.step(narrow.len()) {
            return Vec::new();
        }
        let kin: Vec<_> = narrow
            .iter()
            .filter(|one| one.kind.meets(wide.kind))
            .collect();
        if kin.is_empty() {
            return vec![less(path, What::Kind(wide.kind))];
        }
        if let Some(value) = wide.value {
            let takes = |one: &&Shape<'_>| match one.value {
                Some(other) => other == value,
                None => wide.kind.is_in(one.kind) && bounds::holds(one, value),
            };
            return match kin.iter().any(takes) {
                true => Vec::new(),
                false => vec![less(path, What::Value(shown(value)))],
            };
        }
        let open: Vec<_> = kin.iter().filter(|one| one.value.is_none()).collect();
        if open.is_empty() {
            let values = kin.iter().filter_map(|one| one.value);
            let mut listed: Vec<_> = values.take(VALUES).map(shown).collect();
            if kin.len() > VALUES {
                listed.push("…".to_owned());
            }
            return vec![less(path, What::Others(listed.join(", ")))];
        }
        let mut best: Option<Vec<Less>> = None;
        for one in open {
            if !self.step(1) {
                break;
            }
            let found = self.within(wide, one, path);
            if found.is_empty() {
                return found;
            }
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
        best.unwrap_or_default()
    }

    /// Tells what of a shape one other of its kind does not take.
    fn within(&mut self, wide: &Shape<'a>, narrow: &Shape<'a>, path: &str) -> Vec<Less> {
        if !self.step(1) {
            return Vec::new();
        }
        let mut found = Vec::new();
        if !wide.kind.is_in(narrow.kind) {
            found.push(less(path, What::Fractions));
        }
        let tighter = bounds::tighter(wide, narrow).into_iter();
        found.extend(tighter.map(|what| less(path, what)));
        match narrow.kind {
            Kind::Array => self.items(wide, narrow, path, &mut found),
            Kind::Object => self.properties(wide, narrow, path, &mut found),
            Kind::Null | Kind::Boolean | Kind::Integer | Kind::Number | Kind::String => {}
        }
        found
    }

    fn items(&mut self, wide: &Shape<'a>, narrow: &Shape<'a>, path: &str, found: &mut Vec<Less>) {
        fn listed<'b>(shape: &Shape<'b>) -> &'b [Value] {
            let list = shape.get("prefixItems").and_then(Value::as_array);
            list.map_or(&[], Vec::as_slice)
        }
        let rest = |shape: &Shape<'a>| shape.get("items").unwrap_or(&ANY);
        let places = listed(wide).len().max(listed(narrow).len());
        for place in 0..places {
            let was = listed(wide).get(place).unwrap_or(rest(wide));
            let now = listed(narrow).get(place).unwrap_or(rest(narrow));
            found.extend(self.schemas(was, now, &format!("{path}[{place}]")));
        }
        // A tuple has no further items, whatever is said of them.
        let most = wide.get("maxItems").and_then(Value::as_u64);
        if most.is_none_or(|most| u64::try_from(places).is_ok_and(|places| most > places)) {
            found.extend(self.schemas(rest(wide), rest(narrow), &format!("{path}[]")));
        }
    }

    fn properties(
        &mut self,
        wide: &Shape<'a>,
        narrow: &Shape<'a>,
        path: &str,
        found: &mut Vec<Less>,
    ) {
        let (needed, given) = (required(narrow), required(wide));
        let added = needed.difference(&given).copied();
        found.extend(added.map(|name| less(path, What::Without(brief(name)))));
        let further = narrow.get("additionalProperties").unwrap_or(&ANY);
        let known = wide.all("properties").filter_map(Value::as_object);
        for (name, was) in known.flatten() {
            if !self.step(1) {
                return;
            }
            let at = format!("{path}.{}", brief(name));
            match narrow.property(name) {
                Some(now) => found.extend(self.schemas(was, now, &at)),
                None if *further == Value::Bool(false) && *was != Value::Bool(false) => {
                    found.push(less(path, What::With(brief(name))));
                }
                None => found.extend(self.schemas(was, further, &at)),
            }
        }
        // A property that only the new one knows is no break: who sent it, sent it in vain.
        match (wide.get("additionalProperties").unwrap_or(&ANY), further) {
            (Value::Bool(false), _) => {}
            (_, Value::Bool(false)) => found.push(less(path, What::Further)),
            (was, now) => found.extend(self.schemas(was, now, &format!("{path}.*"))),
        }
    }
}

/// What takes everything.
static ANY: Value = Value::Bool(true);

fn required<'a>(shape: &Shape<'a>) -> BTreeSet<&'a str> {
    let lists = shape.all("required").filter_map(Value::as_array);
    lists.flatten().filter_map(Value::as_str).collect()
}

fn less(path: &str, what: What) -> Less {
    let path = path.to_owned();
    Less { path, what }
}

fn shown(value: &Value) -> String {
    brief(&value.to_string())
}

fn brief(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    let mut brief: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        brief.push('…');
    }
    brief
}
