//! Cutting the text of a body into its parts.

use super::Wrong;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The parts of a body, each as it was sent.
pub(super) struct Body {
    pub(super) args: Bytes,
    pub(super) kwargs: Bytes,
    pub(super) embed: Bytes,
}

/// Cuts a body `[args, kwargs, embed]` into its parts.
pub(super) fn cut(body: &Bytes) -> Result<Body, Wrong> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Wrong::decode(format!("the body is not UTF-8: {error}")))?;
    let Parts { first, count } =
        serde_json::from_str(text).map_err(|error| no_json(text, &error))?;
    let ([Some(args), Some(kwargs), embed], 2..=3) = (first, count) else {
        return Err(Wrong::decode(format!(
            "the body has {count} parts; it must be [args, kwargs, embed]"
        )));
    };
    let embed = embed.map(RawValue::get);
    let part = |text: &str| body.slice_ref(text.as_bytes());
    check(Body {
        args: part(args.get()),
        kwargs: part(kwargs.get()),
        embed: part(embed.filter(|embed| *embed != "null").unwrap_or_default()),
    })
}

/// Checks that each part is of its kind.
pub(super) fn check(body: Body) -> Result<Body, Wrong> {
    if !body.args.starts_with(b"[") {
        return Err(Wrong::decode(
            "the positional arguments are not a JSON array",
        ));
    }
    if !body.kwargs.starts_with(b"{") {
        return Err(Wrong::decode("the keyword arguments are not a JSON object"));
    }
    if !body.embed.is_empty() && !body.embed.starts_with(b"{") {
        return Err(Wrong::decode(
            "what is to follow (the third part of the body) is not a JSON object",
        ));
    }
    Ok(body)
}

/// The first three parts of an array; the others are counted only, however many a
/// hostile body has.
#[derive(Default)]
struct Parts<'a> {
    first: [Option<&'a RawValue>; 3],
    count: usize,
}

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Parts::default();
        for part in &mut parts.first {
            *part = sequence.next_element()?;
            parts.count += usize::from(part.is_some());
        }
        while parts.count >= 3 && sequence.next_element::<IgnoredAny>()?.is_some() {
            parts.count += 1;
        }
        Ok(parts)
    }
}

/// Says what is wrong with a body that is not JSON. Python writes `NaN` and
/// `Infinity` where JSON has no word for them: the caller should hear of that.
fn no_json(text: &str, error: &serde_json::Error) -> Wrong {
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or("");
    let near = line.get(error.column().saturating_sub(4)..).unwrap_or("");
    let near: String = near.chars().take(12).collect();
    if near.contains("NaN") || near.contains("Inf") || near.contains("aN,") {
        return Wrong::argument("NaN and Infinity are not JSON; send null or a text instead");
    }
    if text.trim_start().starts_with(['[']) {
        Wrong::decode(format!("the body is not JSON: {error}"))
    } else {
        Wrong::decode("the body is not a JSON array [args, kwargs, embed]")
    }
}
