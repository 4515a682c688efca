//! The names in a pickle that stand for data, each with what it makes of its
//! arguments. They are recognised as words: nothing is called.

use super::document::{Document, Id, Node};
use super::typed::{self, Offset, Typed, Zone};
use super::{BodyError, shown};
use jiff::civil::{Date, DateTime, Time};

/// What a pickle names, as `module.name`; only such as are known.
pub(super) type Name = Box<str>;

/// The one object that gets its state later.
const UUID: &str = "uuid.UUID";
/// Every name that stands for data.
const KNOWN: [&str; 14] = [
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.getattr",
    "builtins.object",
    "celery.canvas.signature",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    UUID,
];
/// A zone of the IANA database, and the function that its pickles name.
const ZONE: &str = "zoneinfo.ZoneInfo";
const UNPICKLE: &str = "zoneinfo.ZoneInfo._unpickle";

/// Checks that a name is known.
pub(super) fn known(module: &str, name: &str) -> Result<Name, BodyError> {
    let module = match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        other => other,
    };
    let full = format!("{module}.{name}");
    if KNOWN.contains(&full.as_str()) || full == ZONE || full == UNPICKLE {
        return Ok(full.into());
    }
    match full.as_str() {
        "builtins.set" | "builtins.frozenset" => Err(no_set()),
        _ => Err(not_data(&shown(&full))),
    }
}

/// Makes the data that a name with arguments stands for.
pub(super) fn make(document: &mut Document, callable: Id, arguments: Id) -> Result<Id, BodyError> {
    let Some(name) = name(document, callable).map(str::to_owned) else {
        return Err(not_data("a call of what is no name"));
    };
    let items = document.list(arguments).unwrap_or_default();
    let node = match (name.as_str(), items) {
        ("celery.canvas.signature", [dict]) => return Ok(*dict),
        ("builtins.bytes" | "builtins.bytearray", []) => Some(Node::Bytes(Box::default())),
        ("builtins.bytes" | "builtins.bytearray", [bytes]) => document
            .bytes(*bytes)
            .map(|bytes| Node::Bytes(bytes.into())),
        ("_codecs.encode" | "builtins.bytearray", [text, codec]) => {
            encoded(document, *text, *codec)
        }
        ("builtins.getattr", [of, attribute]) => (name_is(document, *of, ZONE)
            && document.str(*attribute) == Some("_unpickle"))
        .then(|| named(UNPICKLE)),
        ("copyreg._reconstructor", [of, base, state]) => (name_is(document, *of, UUID)
            && name_is(document, *base, "builtins.object")
            && document.get(*state) == Some(&Node::Null))
        .then(|| named(UUID)),
        (UUID, []) => Some(named(UUID)),
        (name, items) => moment(document, name, items)?.map(|typed| Node::Typed(Box::new(typed))),
    };
    document.add(node.ok_or_else(|| {
        BodyError::malformed(format!("the pickle makes a {name} of wrong arguments"))
    })?)
}

/// Gives a UUID its number, the one object whose state comes after it.
pub(super) fn build(document: &mut Document, onto: Id, state: Id) -> Result<(), BodyError> {
    if !name_is(document, onto, UUID) {
        return Err(not_data("an object with a state of its own"));
    }
    let number = match document.get(state) {
        Some(Node::Dict(members)) => members.iter().find_map(|(key, value)| {
            match (document.str(*key)?, document.get(*value)?) {
                ("int", Node::Number(text)) => text.parse().ok(),
                _ => None,
            }
        }),
        _ => None,
    };
    let number =
        number.ok_or_else(|| BodyError::malformed("a UUID of the pickle has no number"))?;
    if let Some(blank) = document.get_mut(onto) {
        *blank = Node::Typed(Box::new(Typed::Uuid(number)));
    }
    Ok(())
}

/// A set has no order, and JSON no word for it.
pub(super) fn no_set() -> BodyError {
    BodyError::no_json("a set is not JSON; send a list")
}

pub(super) fn not_data(name: &str) -> BodyError {
    BodyError::not_accepted(format!(
        "the pickle holds {name}, which is not plain data; send plain data"
    ))
}

fn named(name: &str) -> Node {
    Node::Typed(Box::new(Typed::Name(name.into())))
}

fn name(document: &Document, id: Id) -> Option<&str> {
    if let Typed::Name(name) = typed(document, id)? {
        return Some(name);
    }
    None
}

fn name_is(document: &Document, id: Id, expected: &str) -> bool {
    name(document, id) == Some(expected)
}

fn typed(document: &Document, id: Id) -> Option<&Typed> {
    if let Node::Typed(typed) = document.get(id)? {
        return Some(typed);
    }
    None
}

/// Bytes, as protocols without a word for them write them.
fn encoded(document: &Document, text: Id, codec: Id) -> Option<Node> {
    let text = document.str(text)?;
    let bytes: Option<Vec<u8>> = match document.str(codec)? {
        "latin1" | "latin-1" => text.chars().map(|one| u8::try_from(one).ok()).collect(),
        _ => None,
    };
    bytes.map(|bytes| Node::Bytes(bytes.into()))
}

/// Makes a value of the calendar or a decimal number; `None` where the arguments are
/// not such as Python writes.
fn moment(document: &Document, name: &str, items: &[Id]) -> Result<Option<Typed>, BodyError> {
    let bytes = |id: Id| document.bytes(id);
    let typed = match (name, items) {
        ("datetime.date", [state]) => match bytes(*state) {
            Some([high, low, month, day]) => Typed::Date(date(*high, *low, *month, *day)?),
            _ => return Ok(None),
        },
        ("datetime.datetime", [state, zone @ ..]) => match bytes(*state) {
            Some([high, low, month, day, rest @ ..]) => {
                // Python keeps in the month which of two moments is meant.
                let (fold, month) = (month & 0x80 != 0, month & 0x7f);
                let Some((time, false)) = time(rest)? else {
                    return Ok(None);
                };
                let at = date(*high, *low, month, *day)?.to_datetime(time);
                let Some(offset) = offset(document, zone, at, fold)? else {
                    return Ok(None);
                };
                Typed::DateTime(at, offset)
            }
            _ => return Ok(None),
        },
        ("datetime.time", [state, zone @ ..]) => {
            let Some((time, _)) = time(bytes(*state).unwrap_or_default())? else {
                return Ok(None);
            };
            match zone {
                // The offset of a zone with two of them is not known without a day.
                [zone] if !matches!(typed(document, *zone), Some(Typed::Zone(Zone::Fixed(_)))) => {
                    Typed::Time(time, None)
                }
                zone => match offset(document, zone, DateTime::ZERO, false)? {
                    Some(offset) => Typed::Time(time, offset),
                    None => return Ok(None),
                },
            }
        }
        _ => return plain(document, name, items),
    };
    Ok(Some(typed))
}

/// Makes a value that needs no bytes.
fn plain(document: &Document, name: &str, items: &[Id]) -> Result<Option<Typed>, BodyError> {
    let zone = match (name, items) {
        ("datetime.timedelta", [days, seconds, micros]) => {
            let numbers = [days, seconds, micros].map(|id| document.whole(*id));
            let [Some(days), Some(seconds), Some(micros)] = numbers else {
                return Ok(None);
            };
            return typed::span(days, seconds, micros).map(Some);
        }
        ("decimal.Decimal", [text]) => {
            return document.str(*text).map(typed::decimal).transpose();
        }
        ("datetime.timezone", [span] | [span, _]) => match typed(document, *span) {
            Some(Typed::Span(micros)) => Zone::Fixed(Offset::micros(*micros)?),
            _ => return Ok(None),
        },
        (UNPICKLE, [key, _]) => match document.str(*key) {
            Some(key) => Zone::named(key)?,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(Typed::Zone(zone)))
}

fn date(high: u8, low: u8, month: u8, day: u8) -> Result<Date, BodyError> {
    let year = u16::from_be_bytes([high, low]);
    typed::date(year.into(), month.into(), day.into())
}

/// The time of a state, and whether it is the second of two with the same name.
fn time(state: &[u8]) -> Result<Option<(Time, bool)>, BodyError> {
    let [hour, minute, second, micros @ ..] = state else {
        return Ok(None);
    };
    let [high, middle, low] = micros else {
        return Ok(None);
    };
    let micros = u32::from_be_bytes([0, *high, *middle, *low]);
    let (hour, fold) = (hour & 0x7f, hour & 0x80 != 0);
    let time = typed::time(
        hour.into(),
        (*minute).into(),
        (*second).into(),
        micros.into(),
    )?;
    Ok(Some((time, fold)))
}

/// The offset that a moment has in its zone, if it has one; `None` where that is no
/// zone.
fn offset(
    document: &Document,
    zone: &[Id],
    at: DateTime,
    fold: bool,
) -> Result<Option<Option<Offset>>, BodyError> {
    match zone {
        [] => Ok(Some(None)),
        [zone] => match typed(document, *zone) {
            Some(Typed::Zone(zone)) => zone.offset(at, fold).map(Some).map(Some),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}
