//! The binding of arguments, beside Python's rules in a few lines.

use celeriac_sdk::__private::{ParamKind, Parameter, Signature};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use support::Corpus;

const fn param(name: &'static str, kind: ParamKind, required: bool) -> Parameter {
    Parameter {
        name,
        kind,
        required,
    }
}

use ParamKind::{KeywordOnly, PositionalOrKeyword, VarKeyword, VarPositional};

const SIGNATURES: [Signature; 4] = [
    Signature {
        name: "none",
        params: &[],
    },
    Signature {
        name: "plain",
        params: &[
            param("a", PositionalOrKeyword, true),
            param("b", PositionalOrKeyword, true),
            param("c", PositionalOrKeyword, false),
        ],
    },
    Signature {
        name: "keywords",
        params: &[
            param("a", PositionalOrKeyword, true),
            param("b", KeywordOnly, true),
            param("c", KeywordOnly, false),
        ],
    },
    Signature {
        name: "all",
        params: &[
            param("a", PositionalOrKeyword, false),
            param("rest", VarPositional, false),
            param("b", KeywordOnly, true),
            param("more", VarKeyword, false),
        ],
    },
];

/// Whether Python would call a function of these parameters.
fn fits(signature: Signature, given: usize, keywords: &BTreeMap<String, &RawValue>) -> bool {
    let of = |kind: ParamKind| {
        signature
            .params
            .iter()
            .filter(move |param| param.kind == kind)
    };
    let positional: Vec<&str> = of(PositionalOrKeyword).map(|param| param.name).collect();
    let (filled, open) = positional.split_at(given.min(positional.len()));
    let named = |name: &str| keywords.contains_key(name);
    let takes = |name: &str| {
        open.contains(&name)
            || of(KeywordOnly).any(|param| param.name == name)
            || (of(VarKeyword).count() > 0 && !filled.contains(&name))
    };
    let mut required = of(PositionalOrKeyword).skip(given).chain(of(KeywordOnly));
    (given <= positional.len() || of(VarPositional).count() > 0)
        && keywords.keys().all(|name| takes(name))
        && required.all(|param| !param.required || named(param.name))
}

#[test]
fn any_arguments_are_bound_as_python_would_or_refused() {
    let seeds: [&[u8]; 6] = [
        b"[] {\"b\": 1}",
        b"[1] {\"b\": [2], \"c\": null}",
        b"[1, 2.50] {}",
        b"[1, \"x\", {}] {\"b\": 1, \"more\": 2, \"rest\": 3}",
        b"[null] {\"a\": 1, \"b\": 1}",
        b"[] {\"a\": 1, \"a\": 2, \"\\u0062\": 3}",
    ];
    let words: [&[u8]; 12] = [
        b"[",
        b"]",
        b"{",
        b"}",
        b", ",
        b"\"a\": 1",
        b"\"b\": 2",
        b"\"c\": 3",
        b"null",
        b"1",
        b"\\u0061",
        b"\x1b",
    ];
    let corpus = Corpus::new(seeds.map(<[u8]>::to_vec).to_vec(), &words);
    fuzz!(15_000, |script: &[u8]| {
        let (first, rest) = script.split_first().unwrap_or((&0, &[]));
        let signature = SIGNATURES[usize::from(*first) % SIGNATURES.len()];
        let both = corpus.changed(rest);
        let cut = both.iter().position(|byte| *byte == b'{');
        let (args, kwargs) = both.split_at(cut.unwrap_or(both.len()));
        let bound = signature.bind(args, kwargs);
        let given = serde_json::from_slice::<Vec<&RawValue>>(args);
        let keywords = serde_json::from_slice::<BTreeMap<String, &RawValue>>(kwargs);
        let (Ok(given), Ok(keywords)) = (given, keywords) else {
            assert!(
                bound.is_err(),
                "bound: {:?}",
                String::from_utf8_lossy(&both)
            );
            return false;
        };
        let expected = fits(signature, given.len(), &keywords);
        assert_eq!(
            bound.is_ok(),
            expected,
            "{}: {:?}",
            signature.name,
            String::from_utf8_lossy(&both)
        );
        let Ok(bound) = bound else { return false };
        // What was bound is what was sent, as far as numbers of JSON can be read.
        for (at, param) in signature.params.iter().enumerate() {
            let sent = given.get(at).filter(|_| param.kind == PositionalOrKeyword);
            let sent = sent.or_else(|| keywords.get(param.name));
            let Some(sent) = sent.filter(|_| !matches!(param.kind, VarPositional | VarKeyword))
            else {
                continue;
            };
            let value = bound.required::<Box<RawValue>>(at).expect("it is bound");
            assert_eq!(value.get(), sent.get(), "{}", param.name);
        }
        true
    });
}
