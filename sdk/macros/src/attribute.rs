//! Reads what stands in `#[task(...)]` on a function.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Meta, Result, Token};

use crate::{duration, size};

/// The keys that there are, for messages.
const KEYS: &str = "time_limit, soft_time_limit, cpu, memory, result, max_retries, backoff, jitter, retry_on, \
                    at_most_once, wants, accept";

/// Content types that the worker reads itself, so that no task has to.
const READ: [&str; 4] = [
    "application/json",
    "application/x-yaml",
    "application/x-msgpack",
    "application/x-python-serialize",
];

/// Growth of the delay over a range of backoff, in thousandths.
const DOUBLING: u32 = 2000;

/// Growth of a delay that stays the same, in thousandths.
const CONSTANT: u32 = 1000;

/// What a task asks for.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) wall_ms: Option<u64>,
    pub(crate) soft_wall_ms: Option<u64>,
    pub(crate) cpu_ms: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) result_bytes: Option<u64>,
    pub(crate) retry: Option<Retry>,
    pub(crate) at_most_once: bool,
    pub(crate) wants: Vec<String>,
    pub(crate) accept: Vec<String>,
}

/// A retry policy.
pub(crate) struct Retry {
    pub(crate) max_retries: Option<u32>,
    pub(crate) first_delay_ms: Option<u64>,
    pub(crate) max_delay_ms: u64,
    pub(crate) factor_milli: u32,
    pub(crate) jitter: bool,
    pub(crate) kinds: Vec<String>,
}

/// The retry keys as they were written.
#[derive(Default)]
struct RetryKeys {
    max_retries: Option<u32>,
    backoff: Option<(u64, u64)>,
    jitter: Option<bool>,
    kinds: Option<Vec<String>>,
}

/// Reads the attribute's arguments.
pub(crate) fn parse(tokens: TokenStream) -> Result<Options> {
    let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens)?;
    let mut options = Options::default();
    let mut retry = RetryKeys::default();
    let mut seen: Vec<String> = Vec::new();
    let mut soft_span = Span::call_site();
    for meta in &metas {
        let key = meta
            .path()
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        if seen.contains(&key) {
            return Err(Error::new(
                meta.span(),
                format!("`{key}` stands here twice"),
            ));
        }
        match key.as_str() {
            "time_limit" => options.wall_ms = Some(limit_ms(meta)?),
            "soft_time_limit" => {
                options.soft_wall_ms = Some(limit_ms(meta)?);
                soft_span = meta.span();
            }
            "cpu" => options.cpu_ms = Some(limit_ms(meta)?),
            "memory" => options.memory_bytes = Some(bytes(meta)?),
            "result" => options.result_bytes = Some(bytes(meta)?),
            "max_retries" => retry.max_retries = Some(count(meta)?),
            "backoff" => retry.backoff = Some(backoff(meta)?),
            "jitter" => retry.jitter = Some(flag(meta)?),
            "retry_on" => retry.kinds = Some(texts(meta)?),
            "at_most_once" => options.at_most_once = flag(meta)?,
            "wants" => options.wants = texts(meta)?,
            "accept" => options.accept = content_types(meta)?,
            _ => {
                return Err(Error::new(
                    meta.path().span(),
                    format!("no such key: a task has {KEYS}"),
                ));
            }
        }
        seen.push(key);
    }
    if let (Some(hard), Some(soft)) = (options.wall_ms, options.soft_wall_ms)
        && soft >= hard
    {
        return Err(Error::new(
            soft_span,
            "the soft limit must be below `time_limit`, or nobody ever sees it",
        ));
    }
    options.retry = retry.policy();
    Ok(options)
}

impl RetryKeys {
    fn policy(self) -> Option<Retry> {
        let Self {
            max_retries,
            backoff,
            jitter,
            kinds,
        } = self;
        if max_retries.is_none() && backoff.is_none() && jitter.is_none() && kinds.is_none() {
            return None;
        }
        let first_delay_ms = backoff.map(|(first, _)| first);
        let max_delay_ms = backoff.map_or(0, |(_, most)| most);
        let grows = backoff.is_some_and(|(first, most)| first < most);
        Some(Retry {
            max_retries,
            first_delay_ms,
            max_delay_ms,
            factor_milli: if grows { DOUBLING } else { CONSTANT },
            jitter: jitter.unwrap_or(grows),
            kinds: kinds.unwrap_or_default(),
        })
    }
}

/// The value after `=`.
fn value(meta: &Meta, form: &str) -> Result<Expr> {
    match meta {
        Meta::NameValue(pair) => Ok(pair.value.clone()),
        Meta::Path(_) | Meta::List(_) => {
            let key = meta
                .path()
                .get_ident()
                .map(ToString::to_string)
                .unwrap_or_default();
            Err(Error::new(meta.span(), format!("write `{key} = {form}`")))
        }
    }
}

fn text(meta: &Meta, form: &str) -> Result<LitStr> {
    match value(meta, form)? {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text),
        other => Err(Error::new(
            other.span(),
            format!("expected a text in quotes, such as {form}"),
        )),
    }
}

fn limit_ms(meta: &Meta) -> Result<u64> {
    let text = text(meta, "\"30s\"")?;
    match delay_ms(&text.value(), text.span())? {
        0 => Err(Error::new(text.span(), "a limit of zero lets nothing run")),
        ms => Ok(ms),
    }
}

fn delay_ms(text: &str, span: Span) -> Result<u64> {
    let wrong = || {
        Error::new(
            span,
            format!("{text:?} is not a duration: write {}", duration::FORMS),
        )
    };
    let time = duration::parse(text).ok_or_else(wrong)?;
    u64::try_from(time.as_millis()).map_err(|_| wrong())
}

fn bytes(meta: &Meta) -> Result<u64> {
    let text = text(meta, "\"32MiB\"")?;
    let wrong = || {
        Error::new(
            text.span(),
            format!("{:?} is not a size: write {}", text.value(), size::FORMS),
        )
    };
    match size::parse(&text.value()).ok_or_else(wrong)? {
        0 => Err(Error::new(text.span(), "a limit of zero lets nothing run")),
        bytes => Ok(bytes),
    }
}

fn count(meta: &Meta) -> Result<u32> {
    match value(meta, "5")? {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => number.base10_parse(),
        other => Err(Error::new(
            other.span(),
            "expected a whole number, such as 5",
        )),
    }
}

fn backoff(meta: &Meta) -> Result<(u64, u64)> {
    let text = text(meta, "\"1s..10m\"")?;
    let written = text.value();
    let Some((first, last)) = written.split_once("..") else {
        let delay = delay_ms(&written, text.span())?;
        return Ok((delay, delay));
    };
    let (first, last) = (delay_ms(first, text.span())?, delay_ms(last, text.span())?);
    if first > last {
        return Err(Error::new(
            text.span(),
            "the first delay is longer than the longest: write \"1s..10m\"",
        ));
    }
    if first == 0 && last > 0 {
        return Err(Error::new(
            text.span(),
            "zero doubled stays zero: begin at \"1s\" or so",
        ));
    }
    Ok((first, last))
}

/// A bare key, or `key = true`.
fn flag(meta: &Meta) -> Result<bool> {
    match meta {
        Meta::Path(_) => Ok(true),
        Meta::NameValue(_) | Meta::List(_) => match value(meta, "true")? {
            Expr::Lit(ExprLit {
                lit: Lit::Bool(flag),
                ..
            }) => Ok(flag.value),
            other => Err(Error::new(other.span(), "expected true or false")),
        },
    }
}

fn texts(meta: &Meta) -> Result<Vec<String>> {
    let form = "[\"one\", \"another\"]";
    let list = value(meta, form)?;
    let Expr::Array(list) = list else {
        return Err(Error::new(
            list.span(),
            format!("expected a list of texts, such as {form}"),
        ));
    };
    let one = |item: &Expr| match item {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if !text.value().is_empty() => Ok(text.value()),
        other => Err(Error::new(
            other.span(),
            "expected a text in quotes that is not empty",
        )),
    };
    list.elems.iter().map(one).collect()
}

/// Content types of which the task gets the bytes.
fn content_types(meta: &Meta) -> Result<Vec<String>> {
    let types = texts(meta)?;
    for one in &types {
        if READ.contains(&one.as_str()) {
            let text = format!("{one:?} is read by the worker itself, into the arguments");
            return Err(Error::new(meta.span(), text));
        }
        let parts = one.split_once('/');
        let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic());
        if !parts.is_some_and(|(kind, name)| is_part(kind) && is_part(name)) {
            let text = format!("{one:?} is not a content type: write \"application/x-shop\"");
            return Err(Error::new(meta.span(), text));
        }
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    /// Retries, first delay, longest delay, growth, jitter.
    type Told = (Option<u32>, Option<u64>, u64, u32, bool);

    fn retry(tokens: TokenStream) -> Option<Told> {
        let retry = parse(tokens).expect("it is well formed").retry?;
        Some((
            retry.max_retries,
            retry.first_delay_ms,
            retry.max_delay_ms,
            retry.factor_milli,
            retry.jitter,
        ))
    }

    #[test]
    fn retry_keys_make_a_policy_and_without_them_there_is_none() {
        assert_eq!(retry(quote!(cpu = "1s")), None);
        assert_eq!(
            retry(quote!(max_retries = 5)),
            Some((Some(5), None, 0, CONSTANT, false))
        );
        assert_eq!(
            retry(quote!(backoff = "1s..10m")),
            Some((None, Some(1000), 600_000, DOUBLING, true))
        );
        assert_eq!(
            retry(quote!(backoff = "1s..10m", jitter = false)),
            Some((None, Some(1000), 600_000, DOUBLING, false))
        );
        assert_eq!(
            retry(quote!(backoff = "30s", jitter)),
            Some((None, Some(30_000), 30_000, CONSTANT, true))
        );
        assert_eq!(
            retry(quote!(backoff = "0s")),
            Some((None, Some(0), 0, CONSTANT, false))
        );
    }

    #[test]
    fn limits_are_read_in_their_units() {
        let tokens = quote!(
            time_limit = "30s",
            soft_time_limit = "25s",
            cpu = "1500ms",
            memory = "32MiB",
            result = "1MiB"
        );
        let options = parse(tokens).expect("it is well formed");
        assert_eq!(
            (options.wall_ms, options.soft_wall_ms, options.cpu_ms),
            (Some(30_000), Some(25_000), Some(1500))
        );
        assert_eq!(
            (options.memory_bytes, options.result_bytes),
            (Some(32 << 20), Some(1 << 20))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (tokens, message) in [
            (
                quote!(time_limit = "30s", soft_time_limit = "30s"),
                "must be below `time_limit`",
            ),
            (quote!(cpu = "0s"), "a limit of zero"),
            (quote!(memory = "0B"), "a limit of zero"),
            (quote!(backoff = "10m..1s"), "longer than the longest"),
            (quote!(backoff = "0s..1s"), "zero doubled"),
            (quote!(cpu = "1s", cpu = "2s"), "twice"),
            (quote!(retry_on = "ValueError"), "expected a list"),
            (quote!(wants = [""]), "not empty"),
            (quote!(accept = ["shop"]), "not a content type"),
            (quote!(accept = ["application/"]), "not a content type"),
            (quote!(accept = ["a/b c"]), "not a content type"),
            (
                quote!(accept = ["application/x-yaml"]),
                "by the worker itself",
            ),
            (quote!(jitter = 3), "true or false"),
            (quote!(max_retries = "3"), "whole number"),
            (quote!(cpu), "write `cpu = \"30s\"`"),
        ] {
            let error = parse(tokens.clone())
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains(message), "{tokens}: {error}");
        }
    }
}
