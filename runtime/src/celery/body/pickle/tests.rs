use super::super::EXPANDED_BYTES;
use super::*;
use proptest::prelude::*;

fn json(bytes: &[u8]) -> Result<String, BodyError> {
    let json = read(bytes)?.json()?;
    Ok(String::from_utf8(json).unwrap())
}

fn refusal(bytes: &[u8]) -> String {
    json(bytes).unwrap_err().to_string()
}

/// Each is refused, in these words.
fn are_refused(pickles: &[(&[u8], &str)]) {
    for (bytes, words) in pickles {
        let (refusal, bytes) = (refusal(bytes), bytes.escape_ascii());
        assert!(refusal.contains(words), "{bytes}: {refusal}");
    }
}

#[test]
fn what_old_pythons_write_is_read() {
    for (bytes, expected) in [
        // Texts of Python 2.
        (&b"S'a\\n\\'\\x41'\n."[..], r#""a\n'A""#),
        (b"S\"it's\"\n.", r#""it's""#),
        (b"T\x02\x00\x00\x00ab.", r#""ab""#),
        (b"U\x02ab.", r#""ab""#),
        (b"V\\u00e9\\\\u\xe9\\x\n.", "\"é\\\\\\\\ué\\\\x\""),
        // Numbers and flags.
        (b"I01\n.", "true"),
        (b"I-7\n.", "-7"),
        (
            b"L123456789012345678901234567890L\n.",
            "123456789012345678901234567890",
        ),
        (b"F1.5\n.", "1.5"),
        (b"\x8a\x00.", "0"),
        (b"\x8b\x01\x00\x00\x00\xff.", "-1"),
        // Collections.
        (b"(lI1\naI2\na.", "[1,2]"),
        (b"(I1\nI2\nl.", "[1,2]"),
        (b"(S'a'\nI1\nd.", r#"{"a":1}"#),
        (b"}(S'a'\nI1\nS'b'\nI2\nu.", r#"{"a":1,"b":2}"#),
        (b"]p0\ng0\n0(I5\ne.", "[5]"),
        (b"K\x012\x86.", "[1,1]"),
        (b"K\x01(K\x02K\x031.", "1"),
    ] {
        assert_eq!(
            json(bytes).as_deref(),
            Ok(expected),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn nothing_that_is_named_is_called() {
    are_refused(&[
        (b"cos\nsystem\n(S'id'\ntR.", "os.system"),
        (
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
            "os.system",
        ),
        (b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"(S'id'\nios\nsystem\n.", "os.system"),
        (b"(cuuid\nUUID\no.", "an instance of a class"),
        (b"ccollections\nOrderedDict\n)R.", "collections.OrderedDict"),
        (
            b"c__builtin__\ngetattr\n(cuuid\nUUID\nS'x'\ntR.",
            "wrong arguments",
        ),
        (b"c__builtin__\ngetattr\n.", "builtins.getattr"),
        (b"cuuid\nUUID\n)\x81.", "uuid.UUID"),
        (b"}}b.", "a state of its own"),
        (b"cuuid\nUUID\n)}\x92.", "is a name"),
        (b"cuuid\nUUID\n)}K\x01K\x02s\x92.", "keyword"),
        (b"]]R.", "a call"),
        (b"Pid\n.", "a persistent id"),
        (b"NQ.", "a persistent id"),
        (b"\x82\x01.", "an extension code"),
        (b"\x97.", "an out-of-band buffer"),
        (b"\x8f(K\x01\x90.", "a set is not JSON"),
        (b"c__builtin__\nset\n(]tR.", "a set is not JSON"),
    ]);
}

#[test]
fn a_broken_pickle_is_refused_in_words() {
    are_refused(&[
        (b"", "in the middle"),
        (b".", "empty stack"),
        (b"(.", "empty stack"),
        (b"K\x01(2.", "empty stack"),
        (b"e.", "empty stack"),
        (b"NNa.", "no list"),
        (b"}(Nu.", "a key only"),
        (b"h\x05.", "remembers nothing"),
        (b"\x80\x06N.", "protocol 6"),
        (b"\xff.", "0xff"),
        (b"I1_0\n.", "no number"),
        (b"X\x02\x00\x00\x00\xff\xff.", "not UTF-8"),
        (b"X\xff\xff\xff\xff.", "in the middle"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "in the middle"),
        (b"U\x01\xe9.", "not ASCII"),
        (b"V\\ud800\n.", "no character"),
        (b"G\x7f\xf0\x00\x00\x00\x00\x00\x00.", "Infinity"),
        (b"cdatetime\ndate\n(C\x04\x00\x00\x01\x01tR.", "no day"),
        (b"cdatetime\ndate\n(tR.", "wrong arguments"),
        (b"}]K\x01s.", "not tuple"),
        (b"]q\x00h\x00a.", "holds itself"),
    ]);
}

#[test]
fn a_pickle_that_multiplies_itself_ends_at_the_limit() {
    let mut bomb = b"]q\x00".to_vec();
    for _ in 0..40 {
        bomb.extend_from_slice(b"0(h\x00h\x00h\x00h\x00lq\x00");
    }
    bomb.push(b'.');
    assert!(refusal(&bomb).contains(&EXPANDED_BYTES.to_string()));
}

#[test]
fn values_stack_memo_and_marks_have_an_end() {
    for step in [b'N', b'2', b'(', 0x94] {
        let mut flood = b"N".to_vec();
        flood.resize(NODES + 2, step);
        assert_eq!(refusal(&flood), too_many().to_string(), "{step:#x}");
    }
}

/// The instructions, so that arbitrary programs get somewhere.
const CODES: &[u8] = b"(.012FIJKLMNPQRSTUVX]abcdeghiojlpqrstuGBC})\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8e\x8f\x90\x92\x93\x94\x95\x96\x00\x01\x02\n";

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(json(&bytes));
    }

    #[test]
    fn arbitrary_programs_do_no_harm(
        program in proptest::collection::vec(proptest::sample::select(CODES), 0..60)
    ) {
        if let Ok(json) = json(&program) {
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }
}
