//! Log lines for people.

use super::attempt::ATTEMPT_TARGET;
use super::{field, human, one_line};
use console::{Style, StyledObject};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats one event as one line: time, level, message, fields. An attempt is
/// a line of its own kind: `14:05:00.123 SUCCESS images.thumbnail  14 ms …`.
pub(super) struct Lines {
    pub(super) colours: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // The one place where a moment does not come from `Clock`: a log line is
        // stamped when it is written.
        let now = jiff::Timestamp::now()
            .to_zoned(TimeZone::UTC)
            .strftime("%H:%M:%S%.3f")
            .to_string();
        write!(writer, "{} ", self.style(Style::new().dim(), now))?;
        if event.metadata().target() == ATTEMPT_TARGET {
            return writeln!(writer, "{}", self.attempt(&fields));
        }
        let level = *event.metadata().level();
        write!(
            writer,
            "{} {}",
            self.style(level_style(level), format!("{:<5}", level.as_str())),
            one_line(&fields.message)
        )?;
        for (name, value) in &fields.rest {
            write!(
                writer,
                " {}={}",
                self.style(Style::new().dim(), (*name).to_owned()),
                one_line(value)
            )?;
        }
        writeln!(writer)
    }
}

impl Lines {
    fn style(&self, style: Style, text: String) -> StyledObject<String> {
        style.force_styling(self.colours).apply_to(text)
    }

    fn attempt(&self, fields: &Fields) -> String {
        let state = fields.get(field::TASK_STATE);
        let style = match state {
            "SUCCESS" => Style::new().green(),
            "FAILURE" => Style::new().red(),
            _ => Style::new().yellow(),
        };
        let state = self.style(style, format!("{:<8}", one_line(state)));
        let task = one_line(fields.get(field::TASK_NAME)).into_owned();
        let id = self.style(
            Style::new().dim(),
            one_line(fields.get(field::TASK_ID)).into_owned(),
        );
        format!("{state} {task}{}{}  {id}", cost(fields), grants(fields))
    }
}

/// Says what an attempt did with its grants, if anything: `  used http:1  denied submit:2`.
fn grants(fields: &Fields) -> String {
    let told = [
        ("used", field::GRANTS_USED),
        ("denied", field::GRANTS_DENIED),
    ];
    let told = told.map(|(word, name)| match fields.get(name) {
        "" => String::new(),
        list => format!("  {word} {}", one_line(list)),
    });
    told.concat()
}

/// Says what an attempt took, as far as it is known: what did not run took nothing, and
/// of a guest that died with its process only the time is known.
fn cost(fields: &Fields) -> String {
    let run = fields.millis(field::RUN_MS);
    let is_unknown = fields.millis(field::CPU_MS).is_zero();
    if fields.get(field::OUTCOME).is_empty() && is_unknown {
        return match run.is_zero() {
            true => String::new(),
            false => format!("  {}", human::span(run)),
        };
    }
    let cpu = human::span(fields.millis(field::CPU_MS));
    let peak = human::size(fields.get(field::MEMORY_PEAK_BYTES).parse().unwrap_or(0));
    format!("  {}  cpu {cpu}  peak {peak}", human::span(run))
}

fn level_style(level: Level) -> Style {
    match level {
        Level::ERROR => Style::new().red().bold(),
        Level::WARN => Style::new().yellow(),
        Level::INFO => Style::new().green(),
        _ => Style::new().dim(),
    }
}

/// The fields of one event as text.
#[derive(Default)]
struct Fields {
    message: String,
    rest: BTreeMap<&'static str, String>,
}

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.rest.get(name).map_or("", String::as_str)
    }

    fn millis(&self, name: &str) -> Duration {
        let ms: f64 = self.get(name).parse().unwrap_or(0.0);
        Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
    }

    fn put(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => drop(self.rest.insert(name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::AttemptEvent;
    use crate::telemetry::plain::Plain;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(log: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_writer(move || writer.clone())
            .event_format(Lines { colours: false })
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = page.0.lock().unwrap().clone();
        // The time at the start is left out.
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| line[13..].to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    const EVENT: AttemptEvent<'static> = AttemptEvent {
        id: "7f3a",
        task: "images.thumbnail\u{1b}[2J",
        retries: 0,
        queue: "celery",
        tenant: "default",
        digest: "9c41",
        state: "SUCCESS",
        outcome: "returned",
        verdict: "succeed",
        settlement: "ack",
        queue_wait: Duration::from_millis(1),
        run: Duration::from_millis(14),
        cpu: Duration::from_millis(9),
        memory_peak_bytes: 3_355_444,
        bytes_in: 7,
        bytes_out: 2,
        host_calls: 3,
        grants_used: "",
        grants_denied: "",
    };

    #[test]
    fn an_attempt_is_one_readable_line() {
        assert_eq!(
            lines(|| EVENT.emit()),
            "SUCCESS  images.thumbnail\\u001b[2J  14 ms  cpu 9 ms  peak 3.2 MiB  7f3a"
        );
    }

    #[test]
    fn grants_that_were_used_or_missed_are_in_the_line() {
        let event = AttemptEvent {
            task: "images.resize",
            grants_used: "submit:3 http:1",
            grants_denied: "scratch:2",
            ..EVENT
        };
        assert_eq!(
            lines(|| event.emit()),
            "SUCCESS  images.resize  14 ms  cpu 9 ms  peak 3.2 MiB  used submit:3 http:1  denied scratch:2  7f3a"
        );
    }

    #[test]
    fn an_attempt_without_an_outcome_shows_only_what_is_known() {
        let cut_off = AttemptEvent {
            task: "images.resize",
            state: "GIVEN_BACK",
            outcome: "",
            run: Duration::from_millis(2_100),
            cpu: Duration::ZERO,
            memory_peak_bytes: 0,
            ..EVENT
        };
        let refused = AttemptEvent {
            state: "FAILURE",
            run: Duration::ZERO,
            ..cut_off
        };
        let killed = AttemptEvent {
            state: "FAILURE",
            cpu: Duration::from_millis(2_000),
            memory_peak_bytes: 3_355_444,
            ..cut_off
        };
        assert_eq!(
            lines(|| killed.emit()),
            "FAILURE  images.resize  2.1 s  cpu 2 s  peak 3.2 MiB  7f3a"
        );
        assert_eq!(
            lines(|| cut_off.emit()),
            "GIVEN_BACK images.resize  2.1 s  7f3a"
        );
        assert_eq!(lines(|| refused.emit()), "FAILURE  images.resize  7f3a");
    }

    #[test]
    fn a_message_cannot_command_the_terminal() {
        let text = lines(|| tracing::info!(queue = "a\u{1b}]0;x", "went \u{7}"));
        assert_eq!(text, "INFO  went \\u0007 queue=a\\u001b]0;x");
    }

    #[test]
    fn a_name_cannot_write_a_line_of_its_own() {
        let forged = "t\n12:00:00.000 ERROR forged";
        let text = lines(|| tracing::info!(queue = forged, "{forged}"));
        assert_eq!(text.lines().count(), 1, "{text}");
        let event = AttemptEvent {
            task: forged,
            id: forged,
            ..EVENT
        };
        let text = lines(|| event.emit());
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_line_of_json_cannot_command_the_terminal_and_stays_json() {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || Plain(writer.clone()))
            .json()
            .flatten_event(true)
            .finish();
        let queue = "a\u{1b}\u{9b}2J\u{202e}\nb";
        tracing::subscriber::with_default(subscriber, || tracing::info!(queue, "went"));
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(
            !line.chars().any(char::is_control) && line.is_ascii(),
            "{line:?}"
        );
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["queue"], queue);
    }
}
