//! Signatures, and what is planned from them.

use crate::bodies::WORDS;
use crate::envelopes;
use celeriac::celery::Request;
use celeriac::celery::envelope::Envelope;
use celeriac::policy::canvas::{
    Embed, Ended, MESSAGES, Plan, Sender, Unlock, after_failure, after_revoke, after_success,
    replacing, sent, submitted,
};
use celeriac::task::{Exception, Json, Signature};
use support::Corpus;

const SIGNATURES: [&str; 6] = [
    r#"{"task": "t", "args": [1], "kwargs": {"k": 2.50}, "options": {"task_id": "i", "queue": "q", "countdown": 1, "link": [], "link_error": {"task": "e"}}, "subtask_type": null, "immutable": true}"#,
    r#"{"task": "celery.group", "args": [], "kwargs": {"tasks": [{"task": "a"}, {"task": "b", "options": {"link": [{"task": "c"}]}}]}, "options": {}, "subtask_type": "group"}"#,
    r#"{"task": "celery.chain", "args": [], "kwargs": {"tasks": [{"task": "a"}, {"task": "celery.group", "kwargs": {"tasks": [{"task": "b"}, {"task": "c"}]}, "subtask_type": "group"}, {"task": "d"}]}, "options": {"task_id": "i"}, "subtask_type": "chain"}"#,
    r#"{"task": "celery.chord", "args": [], "kwargs": {"kwargs": {}, "header": [{"task": "a"}, {"task": "b"}], "body": {"task": "c", "options": {"link_error": [{"task": "e"}]}}}, "options": {"stamped_headers": ["s"], "s": 1}, "subtask_type": "chord"}"#,
    r#"{"task": "celery.chunks", "args": [], "kwargs": {"task": {"task": "a"}, "it": [[1, 2], [3, 4]], "n": 1}, "options": {}, "subtask_type": "chunks"}"#,
    r#"{"task": "celery.starmap", "args": [], "kwargs": {"task": {"task": "a"}, "it": [[1]]}, "options": {"group_id": "g", "group_index": 1, "chord": {"task": "c"}}, "subtask_type": "xstarmap"}"#,
];

fn sender() -> Sender {
    Sender {
        id: "parent".to_owned(),
        root: "root".to_owned(),
        seed: "parent:0".to_owned(),
    }
}

/// Pieces of signatures, besides those of any JSON.
fn corpus(seeds: Vec<Vec<u8>>) -> Corpus {
    let own = SIGNATURES.iter().map(|text| text.as_bytes());
    let words: Vec<&[u8]> = WORDS.into_iter().chain(own).collect();
    Corpus::new(seeds, &words)
}

fn assert_bounded(plan: &Plan) {
    assert!(plan.sends.len() <= MESSAGES && plan.failures.len() <= MESSAGES);
    for send in &plan.sends {
        assert!(send.args.as_str().starts_with('['), "{}", send.args);
        assert!(send.kwargs.as_str().starts_with('{'), "{}", send.kwargs);
    }
}

#[test]
fn any_signature_is_refused_or_planned_the_same_each_time() {
    let seeds = SIGNATURES.map(|text| text.as_bytes().to_vec()).to_vec();
    let corpus = corpus(seeds);
    fuzz!(10_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let Some(json) = Json::read(&String::from_utf8_lossy(&bytes)) else {
            return false;
        };
        let Ok(signature) = Signature::read(&json) else {
            return false;
        };
        let again = Signature::read(&signature.json()).expect("a signature");
        assert_eq!(again, signature);
        let plan = || sent(&sender(), &signature, vec![Json::null()]);
        if let Ok(first) = plan() {
            assert_bounded(&first);
            assert_eq!(plan().expect("the same plan"), first);
        }
        if let Ok((_, plan)) = submitted(&sender(), &signature) {
            assert_bounded(&plan);
        }
        let ended = Ended {
            sender: sender(),
            embed: Embed {
                callbacks: vec![json.clone()],
                chain: vec![json.clone(), json],
                ..Embed::default()
            },
            group: None,
        };
        if let Ok(plan) = replacing(&ended, &signature, 1, 1) {
            assert_bounded(&plan);
        }
        plan().is_ok()
    });
}

#[test]
fn whatever_is_to_follow_is_planned_or_refused() {
    let captured = envelopes::captured();
    let embeds = captured.iter().filter_map(|raw| {
        let request = Request::decode(&Envelope::read(raw).message).ok()?;
        Some(request.embed.to_vec())
    });
    let mut seeds: Vec<Vec<u8>> = embeds.collect();
    let [one, group, chain, chord, ..] = SIGNATURES;
    for embed in [
        format!(
            r#"{{"callbacks": [{one}, {group}], "errbacks": [{one}], "chain": null, "chord": null}}"#
        ),
        format!(r#"{{"chain": [{chord}, {chain}, {group}], "chord": {one}}}"#),
    ] {
        seeds.push(embed.into_bytes());
    }
    let corpus = corpus(seeds);
    let exception = Exception::new("builtins", "ValueError", "no");
    fuzz!(10_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let Ok(embed) = Embed::read(&String::from_utf8_lossy(&bytes)) else {
            return false;
        };
        let ended = Ended {
            sender: sender(),
            embed,
            group: Some(("g".to_owned(), Some(0))),
        };
        assert_bounded(&after_failure(&ended, &exception));
        assert_bounded(&after_revoke(&ended, &exception));
        match after_success(ended, &Json::null()) {
            Ok(plan) => {
                assert_bounded(&plan);
                !plan.is_empty()
            }
            Err(_) => false,
        }
    });
}

#[test]
fn any_arguments_of_a_chord_unlock_are_read_or_refused() {
    let seed = br#"["g", {"task": "t"}] {"result": [[["i", null], null], [["j", null], [[["k", null], null]]]], "interval": 1.5, "max_retries": null}"#;
    let corpus = corpus(vec![seed.to_vec()]);
    fuzz!(8_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let cut = bytes.windows(3).position(|three| three == b"] {");
        let (args, kwargs) = bytes.split_at(cut.map_or(bytes.len(), |cut| cut + 1));
        let Ok(unlock) = Unlock::read(args, kwargs) else {
            return false;
        };
        assert!(unlock.parts.len() <= MESSAGES);
        assert!(unlock.interval.as_secs() <= 86_400);
        true
    });
}
