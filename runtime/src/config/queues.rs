//! The sections `[queues.NAME]`: how a queue is declared where it is missing.

use super::address::Address;
use super::error::ConfigError;
use super::reader::Reader;
use super::worker::check_queue;
use crate::task::{ExchangeType, NO_FANOUT, QueueShape, QueueShapes, check_name};

/// Most queues that are described (1,000): each is held in memory, and looked up
/// per message.
const QUEUES: usize = 1_000;
/// The keys of a section.
const KEYS: [&str; 5] = [
    "exchange",
    "exchange_type",
    "routing_key",
    "max_priority",
    "quorum",
];

/// Reads all sections.
pub(super) fn read(reader: &mut Reader, broker: &Address) -> Result<QueueShapes, ConfigError> {
    let mut shapes = QueueShapes::new();
    for queue in reader.sections("queues", &KEYS, QUEUES)? {
        let shape = one(reader, &queue, broker)?;
        shapes.insert(queue, shape);
    }
    Ok(shapes)
}

fn one(reader: &mut Reader, queue: &str, broker: &Address) -> Result<QueueShape, ConfigError> {
    let mut shape = QueueShape::of(queue);
    let key = |name: &str| format!("queues.{queue:?}.{name}");
    let wrong = |reader: &Reader, name: &str, value: String, reason: String| ConfigError::Wrong {
        key: key(name),
        value,
        reason,
        source_place: reader.source(&key(name)),
    };
    let is_written = |reader: &Reader, name: &str| reader.is_written(&key(name));
    if let Err(reason) = check_queue(queue) {
        let written = KEYS.iter().find(|name| is_written(reader, name));
        return Err(ConfigError::Wrong {
            key: "queues".to_owned(),
            value: format!("{queue:?}"),
            reason,
            source_place: reader.place(&key(written.copied().unwrap_or_default())),
        });
    }
    if is_written(reader, "exchange") {
        let name = |text: &str| named(text, 1);
        shape.exchange = reader.text(&key("exchange"), String::new(), name, Clone::clone)?;
    }
    if is_written(reader, "exchange_type") {
        let kind = reader.text(
            &key("exchange_type"),
            ExchangeType::Direct,
            |text| {
                let known = ExchangeType::parse(text);
                known.ok_or_else(|| "\"direct\", \"topic\" or \"fanout\" is wanted".to_owned())
            },
            |kind| kind.word().to_owned(),
        )?;
        let is_redis = matches!(broker, Address::Redis(_) | Address::Sentinel(_));
        if kind == ExchangeType::Fanout && is_redis {
            let value = format!("{:?}", kind.word());
            return Err(wrong(reader, "exchange_type", value, NO_FANOUT.to_owned()));
        }
        shape.exchange_type = kind;
    }
    if is_written(reader, "routing_key") {
        let routing_key = |text: &str| named(text, 0);
        let key = key("routing_key");
        shape.routing_key = reader.text(&key, String::new(), routing_key, Clone::clone)?;
    }
    if is_written(reader, "max_priority") {
        let most = reader.number(&key("max_priority"), 0, 0..=u64::from(u8::MAX))?;
        shape.max_priority = u8::try_from(most).ok();
    }
    if is_written(reader, "quorum") {
        shape.quorum = reader.flag(&key("quorum"), false)?;
    }
    if let Some(most) = shape.max_priority.filter(|_| shape.quorum) {
        let reason = "a quorum queue takes no highest priority; leave out one of the two";
        return Err(wrong(
            reader,
            "max_priority",
            most.to_string(),
            reason.to_owned(),
        ));
    }
    Ok(shape)
}

fn named(text: &str, least: usize) -> Result<String, String> {
    check_name(text, least).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Result<QueueShapes, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.queues)
    }

    #[test]
    fn what_is_left_out_is_as_with_celery() {
        let text =
            "[queues.a]\nquorum = true\n[queues.\"b.c\"]\nrouting_key = \"x.#\"\n[queues.d]\n";
        let shapes = read(text).unwrap();
        assert_eq!(shapes.len(), 2, "an empty section says nothing");
        let quorum = QueueShape {
            quorum: true,
            ..QueueShape::of("a")
        };
        assert_eq!(shapes.get("a"), Some(&quorum));
        let b = shapes.get("b.c").unwrap();
        assert_eq!(
            (b.exchange.as_str(), b.routing_key.as_str()),
            ("b.c", "x.#")
        );
        assert_eq!(b.exchange_type, ExchangeType::Direct);
    }

    #[test]
    fn a_variable_reaches_a_queue_too() {
        let mut raw = RawConfig::default();
        let variable = ("CELERIAC_QUEUES__HEAVY__MAX_PRIORITY", "9");
        raw.read_environment([(variable.0.to_owned(), variable.1.to_owned())].into_iter());
        let (config, effective) = Config::check(raw).unwrap();
        assert_eq!(config.queues.get("heavy").unwrap().max_priority, Some(9));
        let known = effective.iter().find(|known| known.value == "9").unwrap();
        assert_eq!(known.key, "queues.\"heavy\".max_priority");
    }

    #[test]
    fn a_wrong_section_is_refused_with_key_value_and_reason() {
        for (text, words) in [
            (
                "[queues.a]\nexchange_typ = \"topic\"\n",
                "there is no key \"queues.a.exchange_typ\" in c.toml:2; did you mean \"queues.a.exchange_type\"?",
            ),
            (
                "[queues]\nexchange = \"x\"\n",
                "there is no key \"queues.exchange\" in c.toml:2; did you mean \"queues.NAME.exchange\"?",
            ),
            (
                "[queues.a]\nexchange_type = \"headers\"\n",
                "queues.\"a\".exchange_type is \"headers\": \"direct\", \"topic\" or \"fanout\" is wanted, in c.toml:2",
            ),
            (
                "[queues.a]\nexchange = \"\"\n",
                "queues.\"a\".exchange is \"\": 1 to 255 bytes without control characters are wanted, in c.toml:2",
            ),
            (
                "[queues.a]\nrouting_key = \"x\\u0006y\"\n",
                "queues.\"a\".routing_key is \"x\\u{6}y\": 0 to 255 bytes without control characters are wanted, in c.toml:2",
            ),
            (
                "[queues.a]\nmax_priority = 256\n",
                "queues.\"a\".max_priority is 256; at most 255 is allowed, in c.toml:2",
            ),
            (
                "[queues.a]\nquorum = \"yes\"\n",
                "queues.\"a\".quorum is \"yes\": true or false is wanted, in c.toml:2",
            ),
            (
                "[queues.a]\nquorum = true\nmax_priority = 9\n",
                "queues.\"a\".max_priority is 9: a quorum queue takes no highest priority; leave out one of the two, in c.toml:3",
            ),
            (
                "[queues.\"a,b\"]\nquorum = true\n",
                "queues is \"a,b\": a queue's name has 1 to 255 bytes, no commas and no control characters, in c.toml:2",
            ),
            (
                "broker = \"redis://h\"\n[queues.a]\nexchange_type = \"fanout\"\n",
                "queues.\"a\".exchange_type is \"fanout\": over Redis a fanout exchange reaches who listens at that moment and no queue; write \"topic\" or \"direct\", in c.toml:3",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), words, "{text}");
        }
    }

    #[test]
    fn queues_are_counted() {
        let many = |count: usize| -> String {
            (0..count)
                .map(|n| format!("[queues.q{n}]\nquorum = true\n"))
                .collect()
        };
        assert_eq!(read(&many(QUEUES)).unwrap().len(), QUEUES);
        let error = read(&many(QUEUES + 1)).unwrap_err();
        assert!(error.contains("at most 1000 are allowed"), "{error}");
    }
}
