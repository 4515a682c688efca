//! The flags for what a tenant may use and reach.

use crate::cli::exit::Problem;
use crate::config::units;
use crate::platform::Terms;
use crate::task::Weight;
use std::time::Duration;

/// What takes a bound away.
const NONE: &str = "none";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct TermArgs {
    /// Its share of the cores beside others who want them [default: 100]
    #[arg(long, value_name = "NUMBER")]
    weight: Option<u32>,
    /// Most attempts in flight in one worker
    #[arg(long, value_name = "NUMBER")]
    concurrency: Option<String>,
    /// Most attempts that start in a minute in one worker
    #[arg(long, value_name = "NUMBER")]
    starts_per_minute: Option<String>,
    /// Most messages that wait in a queue before calls over HTTP are refused
    #[arg(long, value_name = "NUMBER")]
    queue_depth: Option<String>,
    /// Most bytes of all kept versions of its modules, such as 1GiB
    #[arg(long, value_name = "SIZE")]
    module_bytes: Option<String>,
    /// Most bytes of results that are kept for it
    #[arg(long, value_name = "SIZE")]
    result_bytes: Option<String>,
    /// Most CPU time in an hour, such as 10m
    #[arg(long, value_name = "TIME")]
    cpu_per_hour: Option<String>,
    /// Most CPU time in a day, such as 2h
    #[arg(long, value_name = "TIME")]
    cpu_per_day: Option<String>,
    /// Most time of one attempt
    #[arg(long, value_name = "TIME")]
    wall: Option<String>,
    /// Most CPU time of one attempt
    #[arg(long, value_name = "TIME")]
    cpu: Option<String>,
    /// Most memory of one attempt, such as 64MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Most retries of one task
    #[arg(long, value_name = "NUMBER")]
    max_retries: Option<String>,
    /// What its modules may reach at most, such as http:api.acme.example; once for each, or
    /// "none"
    #[arg(long, value_name = "WHAT")]
    may: Vec<String>,
    /// Where its messages are, with the password of workers
    #[arg(long, value_name = "URL")]
    tenant_broker: Option<String>,
    /// Where its results are, with the password of workers
    #[arg(long, value_name = "URL")]
    tenant_results: Option<String>,
}

/// What is left out stays; `Some(None)` takes a bound away.
type Edit<T> = Option<Option<T>>;

/// What was read of the flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    weight: Option<Weight>,
    concurrency: Edit<u32>,
    starts_per_minute: Edit<u32>,
    queue_depth: Edit<u64>,
    module_bytes: Edit<u64>,
    result_bytes: Edit<u64>,
    cpu_per_hour: Edit<u64>,
    cpu_per_day: Edit<u64>,
    wall: Edit<u64>,
    cpu: Edit<u64>,
    memory: Edit<u64>,
    max_retries: Edit<u32>,
    may: Option<Vec<String>>,
    broker: Edit<String>,
    result_backend: Edit<String>,
}

impl TermArgs {
    /// Reads the flags.
    pub(crate) fn read(self) -> Result<Edits, Problem> {
        let weight = self.weight.map(Weight::try_from).transpose();
        let weight = weight.map_err(|error| Problem::usage(format!("--weight: {error}")))?;
        let may = match self.may.as_slice() {
            [] => None,
            [none] if none == NONE => Some(Vec::new()),
            _ => Some(self.may),
        };
        let address = |text: Option<String>| text.map(|text| (text != NONE).then_some(text));
        Ok(Edits {
            weight,
            concurrency: number("--concurrency", self.concurrency)?,
            starts_per_minute: number("--starts-per-minute", self.starts_per_minute)?,
            queue_depth: number("--queue-depth", self.queue_depth)?,
            module_bytes: size("--module-bytes", self.module_bytes)?,
            result_bytes: size("--result-bytes", self.result_bytes)?,
            cpu_per_hour: seconds("--cpu-per-hour", self.cpu_per_hour)?,
            cpu_per_day: seconds("--cpu-per-day", self.cpu_per_day)?,
            wall: ms("--wall", self.wall)?,
            cpu: ms("--cpu", self.cpu)?,
            memory: size("--memory", self.memory)?,
            max_retries: number("--max-retries", self.max_retries)?,
            may,
            broker: address(self.tenant_broker),
            result_backend: address(self.tenant_results),
        })
    }
}

impl Edits {
    /// Changes what was said.
    pub(crate) fn apply(self, terms: &mut Terms) {
        let Terms { quota, ceiling, .. } = terms;
        set(&mut quota.concurrency, self.concurrency);
        set(&mut quota.starts_per_minute, self.starts_per_minute);
        set(&mut quota.queue_depth, self.queue_depth);
        set(&mut quota.module_bytes, self.module_bytes);
        set(&mut quota.result_bytes, self.result_bytes);
        set(&mut quota.cpu_per_hour_seconds, self.cpu_per_hour);
        set(&mut quota.cpu_per_day_seconds, self.cpu_per_day);
        set(&mut ceiling.wall_ms, self.wall);
        set(&mut ceiling.cpu_ms, self.cpu);
        set(&mut ceiling.memory_bytes, self.memory);
        set(&mut ceiling.max_retries, self.max_retries);
        set(&mut terms.broker, self.broker);
        set(&mut terms.result_backend, self.result_backend);
        terms.weight = self.weight.unwrap_or(terms.weight);
        if let Some(may) = self.may {
            terms.may = may;
        }
    }
}

fn set<T>(bound: &mut Option<T>, edit: Edit<T>) {
    if let Some(edit) = edit {
        *bound = edit;
    }
}

fn read<T>(
    flag: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Edit<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text == NONE {
        return Ok(Some(None));
    }
    let read = parse(&text);
    let wrong = |reason| Problem::usage(format!("{flag} is {text:?}: {reason}"));
    read.map(|value| Some(Some(value))).map_err(wrong)
}

fn number<T: std::str::FromStr>(flag: &str, text: Option<String>) -> Result<Edit<T>, Problem> {
    let wanted = |_| format!("a whole number or {NONE:?} is wanted");
    read(flag, text, |text| text.parse().map_err(wanted))
}

fn size(flag: &str, text: Option<String>) -> Result<Edit<u64>, Problem> {
    read(flag, text, |text| {
        units::bytes(text).map_err(|error| error.to_string())
    })
}

fn time(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|error| error.to_string())
}

fn seconds(flag: &str, text: Option<String>) -> Result<Edit<u64>, Problem> {
    read(flag, text, |text| {
        let time = time(text)?;
        match time.subsec_nanos() {
            0 => Ok(time.as_secs()),
            _ => Err("whole seconds are wanted".to_owned()),
        }
    })
}

fn ms(flag: &str, text: Option<String>) -> Result<Edit<u64>, Problem> {
    read(flag, text, |text| {
        Ok(u64::try_from(time(text)?.as_millis()).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Quota;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_is_said_is_changed_and_the_rest_stays() {
        let mut terms = Terms {
            quota: Quota {
                concurrency: Some(4),
                queue_depth: Some(9),
                ..Quota::default()
            },
            may: vec!["submit:a.b".to_owned()],
            ..Terms::default()
        };
        let args = TermArgs {
            weight: Some(200),
            concurrency: some("none"),
            cpu_per_day: some("2h"),
            wall: some("1s500ms"),
            memory: some("64MiB"),
            tenant_broker: some("redis://h"),
            ..TermArgs::default()
        };
        args.read().unwrap().apply(&mut terms);
        assert_eq!(terms.weight.get(), 200);
        assert_eq!(terms.quota.concurrency, None);
        assert_eq!(terms.quota.queue_depth, Some(9));
        assert_eq!(terms.quota.cpu_per_day_seconds, Some(7_200));
        assert_eq!(terms.ceiling.wall_ms, Some(1_500));
        assert_eq!(terms.ceiling.memory_bytes, Some(64 << 20));
        assert_eq!(terms.may, ["submit:a.b"]);
        assert_eq!(terms.broker.as_deref(), Some("redis://h"));
        let none = TermArgs {
            may: vec![NONE.to_owned()],
            tenant_broker: some(NONE),
            ..TermArgs::default()
        };
        none.read().unwrap().apply(&mut terms);
        assert_eq!((terms.may.len(), terms.broker), (0, None));
    }

    #[test]
    fn a_bound_that_cannot_be_read_names_its_flag_and_what_is_wanted() {
        let refused = |args: TermArgs| args.read().unwrap_err().to_string();
        for (args, told) in [
            (
                TermArgs {
                    cpu_per_day: some("2"),
                    ..TermArgs::default()
                },
                "--cpu-per-day is \"2\": it has no unit; write \"2s\"",
            ),
            (
                TermArgs {
                    cpu_per_hour: some("5ms"),
                    ..TermArgs::default()
                },
                "--cpu-per-hour is \"5ms\": whole seconds are wanted",
            ),
            (
                TermArgs {
                    concurrency: some("-1"),
                    ..TermArgs::default()
                },
                "--concurrency is \"-1\": a whole number or \"none\" is wanted",
            ),
            (
                TermArgs {
                    weight: Some(0),
                    ..TermArgs::default()
                },
                "--weight: 0 is not a weight; use 1 to 10000, where 100 is usual",
            ),
        ] {
            assert_eq!(refused(args), told);
        }
    }
}
