//! The section `[publish]`: how often a client tries.

use super::error::ConfigError;
use super::raw::Source;
use super::reader::Reader;
use super::units;
use std::time::Duration;

/// Most further tries of a publish (1,000): with the longest pause, ten days.
const RETRIES: u64 = 1_000;
/// Longest pause between two of them (15 min): a person waits for it.
const PAUSE: Duration = Duration::from_secs(900);

/// How a client tries again to publish, as Celery's `task_publish_retry_policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishConfig {
    /// How often it tries again.
    pub max_retries: u32,
    /// The pause before the first time.
    pub interval_start: Duration,
    /// How much longer each further pause is.
    pub interval_step: Duration,
    /// The longest pause.
    pub interval_max: Duration,
    /// Whether monitors are told of each message, as with Celery's
    /// `task_send_sent_event`; a worker tells of its own too.
    pub send_sent_event: bool,
}

impl PublishConfig {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, ConfigError> {
        let all = Duration::ZERO..=PAUSE;
        let mut time = |name: &str, default| {
            let default = Duration::from_millis(default);
            reader.duration(&format!("publish.{name}"), default, all.clone())
        };
        let interval_start = time("interval_start", 0)?;
        let interval_step = time("interval_step", 200)?;
        let interval_max = time("interval_max", 1_000)?;
        let send_sent_event = reader.flag("publish.send_sent_event", false)?;
        let max_retries = reader.number("publish.max_retries", 3, 0..=RETRIES)?;
        if interval_start > interval_max {
            // The place to look at is where a person wrote something.
            let source_place = match reader.source("publish.interval_start") {
                Source::Default => reader.source("publish.interval_max"),
                written @ (Source::File { .. } | Source::Environment(_) | Source::Flag(_)) => {
                    written
                }
            };
            let print = |time| format!("{:?}", units::print_duration(time));
            return Err(ConfigError::OutOfRange {
                key: "publish.interval_start".to_owned(),
                value: print(interval_start),
                bound: format!(
                    "at most publish.interval_max = {} is allowed",
                    print(interval_max)
                ),
                source_place,
            });
        }
        Ok(Self {
            max_retries: u32::try_from(max_retries).unwrap_or(u32::MAX),
            interval_start,
            interval_step,
            interval_max,
            send_sent_event,
        })
    }

    /// Returns the pause after a try that failed, the first being 0; `None` when it
    /// was the last.
    #[must_use]
    pub fn pause(&self, tries: u32) -> Option<Duration> {
        if tries >= self.max_retries {
            return None;
        }
        let more = self.interval_step.saturating_mul(tries);
        Some(
            self.interval_start
                .saturating_add(more)
                .min(self.interval_max),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Result<Config, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config)
    }

    fn pauses(publish: &PublishConfig) -> Vec<u128> {
        let pauses = (0..).map_while(|tries| publish.pause(tries));
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn the_pauses_are_celerys_unless_told_otherwise() {
        assert_eq!(pauses(&read("").unwrap().publish), [0, 200, 400]);
        let text = "[publish]\nmax_retries = 5\ninterval_start = \"1s\"\ninterval_step = \"2s\"\ninterval_max = \"4s\"\n";
        let publish = read(text).unwrap().publish;
        assert_eq!(pauses(&publish), [1_000, 3_000, 4_000, 4_000, 4_000]);
        let never = read("[publish]\nmax_retries = 0\n").unwrap().publish;
        assert_eq!(never.pause(0), None);
    }

    #[test]
    fn a_pause_never_overflows() {
        let publish = PublishConfig {
            max_retries: u32::MAX,
            interval_start: Duration::MAX,
            interval_step: Duration::MAX,
            interval_max: PAUSE,
            send_sent_event: false,
        };
        assert_eq!(publish.pause(u32::MAX - 1), Some(PAUSE));
    }

    #[test]
    fn what_is_wrong_is_refused_with_key_value_and_reason() {
        for (text, words) in [
            (
                "[publish]\nmax_retries = 1001\n",
                "publish.max_retries is 1001; at most 1000 is allowed, in c.toml:2",
            ),
            (
                "[publish]\ninterval_step = \"0.2\"\n",
                "publish.interval_step is \"0.2\": it is not a time such as \"500ms\", \"30s\", \"10m\", \"1h30m\" or \"1d\", in c.toml:2",
            ),
            (
                "[publish]\ninterval_max = \"16m\"\n",
                "publish.interval_max is \"16m\"; at most \"15m\" is allowed, in c.toml:2",
            ),
            (
                "[publish]\ninterval_start = \"2s\"\n",
                "publish.interval_start is \"2s\"; at most publish.interval_max = \"1s\" is allowed, in c.toml:2",
            ),
            (
                "[publish]\nretries = 1\n",
                "there is no key \"publish.retries\" in c.toml:2; did you mean \"publish.max_retries\"?",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), words, "{text}");
        }
    }
}
