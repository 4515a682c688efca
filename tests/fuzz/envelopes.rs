//! Kombu's envelopes, as anybody can push them to a list of Redis.

use crate::bodies::{WORDS, decodes};
use crate::capture::{items, names, read};
use celeriac::celery::envelope::Envelope;
use support::Corpus;

/// All envelopes of the captures.
pub(crate) fn captured() -> Vec<Vec<u8>> {
    let all = names("task_").into_iter();
    let all = all.flat_map(|name| items(&read(&name)));
    all.map(|item| item.raw.into_bytes()).collect()
}

#[test]
fn any_envelope_is_read_and_written_again() {
    let corpus = Corpus::new(captured(), &WORDS);
    fuzz!(8_000, |script: &[u8]| {
        let raw = corpus.changed(script);
        let envelope = Envelope::read(&raw);
        // What cannot be read is kept byte by byte, for the dead letters.
        if envelope.message.headers.is_empty() && envelope.message.properties == Default::default()
        {
            assert!(envelope.message.body.len() <= raw.len());
        }
        let again = Envelope::read(envelope.write("q").as_bytes());
        assert_eq!(again, envelope);
        decodes(&envelope.message)
    });
}
