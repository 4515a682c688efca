//! Looks whether a report that came from another process is one that a sandbox makes.
//!
//! A guest that broke out of its sandbox could say anything in its name. What is checked
//! here the sandbox holds by itself, so that whatever fails is the work of an intruder.

use crate::grants::Grants;
use crate::invoke::{FRAMES, Report, Usage, check_json};
use crate::limits::Limits;
use crate::log::{FIELD_COST, Log};
use crate::outcome::{Failure, Outcome};
use crate::submit::{
    HEADER_BYTES, HEADER_NAME_BYTES, HEADERS, HELD_BYTES, Job, KEY_BYTES, QUEUE_BYTES, SUBMITS,
    Signature, Submitted, TASK_BYTES, Wish, tasks_of,
};
use std::time::Duration;

/// Bytes that the sandbox's own words may add to those of a guest (64 KiB).
const WORDS: u64 = 64 << 10;
/// How many bytes one byte of a log becomes when it is escaped, at most.
const ESCAPED: u64 = 8;
/// How late a busy machine may notice that time is over (60 s).
const LATE: Duration = Duration::from_secs(60);
/// Most bytes or calls of one attempt (2^50): more than any machine carries in the longest
/// time limit.
const COUNT: u64 = 1 << 50;
/// Longest id of a task that was submitted, bytes.
const ID_BYTES: usize = 255;
/// Bytes of a line of a log around its text, where it is written with its names.
const LINE_BYTES: u64 = 58;
/// Values of a line without its fields, and of a field: a list or map, names, members.
const LINE_VALUES: u64 = 10;
const FIELD_VALUES: u64 = 3;
/// Values of everything else (65,536): a hundred jobs with all they may have are 12,000.
const VALUES: u64 = 64 << 10;

impl Limits {
    /// Returns how many bytes a report of an attempt with these limits has at most, where
    /// it is written with its names, as MessagePack.
    #[must_use]
    pub fn report_bytes(&self) -> u64 {
        let fields = self.log_bytes / FIELD_COST;
        let log = [
            self.log_bytes.saturating_mul(ESCAPED),
            u64::from(self.log_lines).saturating_mul(LINE_BYTES),
            // Two lengths and that of the pair.
            fields.saturating_mul(11),
        ];
        // What was submitted is named once more, for its grants.
        let rest = [
            self.result_bytes,
            self.failure_bytes,
            self.progress_bytes,
            2 * HELD_BYTES,
            2 * WORDS,
        ];
        log.into_iter().chain(rest).fold(0, u64::saturating_add)
    }

    /// Returns of how many values it consists at most: numbers, texts, lists and names.
    #[must_use]
    pub fn report_values(&self) -> u64 {
        let lines = u64::from(self.log_lines).saturating_mul(LINE_VALUES);
        let fields = (self.log_bytes / FIELD_COST).saturating_mul(FIELD_VALUES);
        VALUES.saturating_add(lines).saturating_add(fields)
    }
}

impl Report {
    /// Checks a report from another process.
    ///
    /// # Errors
    /// What no sandbox with these limits and grants would report.
    pub fn check(&self, limits: &Limits, grants: &Grants) -> Result<(), String> {
        outcome(&self.outcome, limits)?;
        log(&self.log, limits)?;
        submitted(&self.submitted, grants)?;
        self.usage.check(limits)?;
        match self.progress.is_empty() {
            true => Ok(()),
            false => Err("progress that nobody asked for".to_owned()),
        }
    }
}

impl Usage {
    /// Checks what another process says that an attempt took: whoever adds it up must not
    /// be led by one attempt to a sum that stands for nothing.
    ///
    /// # Errors
    /// What no attempt with these limits takes.
    pub fn check(&self, limits: &Limits) -> Result<(), String> {
        let over = |spent: Duration, limit: Duration| spent > limit.saturating_add(LATE);
        if over(self.wall, limits.wall) || over(self.cpu, limits.cpu) {
            let (wall, cpu) = (self.wall.as_secs(), self.cpu.as_secs());
            return Err(format!("{wall} s with {cpu} s of CPU time"));
        }
        if self.memory_peak_bytes > limits.memory {
            return Err(format!("a memory of {} bytes", self.memory_peak_bytes));
        }
        let used = self.uses.iter();
        let used =
            used.flat_map(|(_, used)| [used.calls, used.denied, used.bytes_in, used.bytes_out]);
        let counts = [self.bytes_in, self.bytes_out, self.host_calls];
        match used.chain(counts).find(|count| *count > COUNT) {
            Some(count) => Err(format!("a count of {count}")),
            None => Ok(()),
        }
    }
}

impl Grants {
    /// Says whether everything in a wish may be sent.
    ///
    /// # Errors
    /// What may not, for people.
    pub fn allow(&self, wish: &Wish) -> Result<(), String> {
        match wish {
            Wish::Job(job) => shape(job).and_then(|()| self.submits(&job.task)),
            Wish::Signature(signature) => self.allow_signature(signature),
        }
    }

    /// Says whether all tasks of a signature may be sent, whatever it says they are.
    ///
    /// # Errors
    /// What may not, for people.
    pub fn allow_signature(&self, signature: &Signature) -> Result<(), String> {
        let tasks = tasks_of(&signature.json, SUBMITS).map_err(|error| format!("{error:?}"))?;
        if tasks != signature.tasks {
            return Err("a signature that names other tasks than it says".to_owned());
        }
        tasks.iter().try_for_each(|task| self.submits(task))
    }
}

/// Checks what a sandbox holds of every job: the sizes of its parts, and that its arguments
/// are an array and an object.
fn shape(job: &Job) -> Result<(), String> {
    let part = |bytes: usize, most: usize| bytes <= most;
    let optional =
        |text: &Option<String>, most| text.as_ref().is_none_or(|text| part(text.len(), most));
    let header = |(name, value): (&String, &String)| {
        part(name.len(), HEADER_NAME_BYTES) && part(value.len(), HEADER_BYTES)
    };
    let fits = part(job.task.len(), TASK_BYTES)
        && optional(&job.queue, QUEUE_BYTES)
        && optional(&job.key, KEY_BYTES)
        && part(job.headers.len(), HEADERS)
        && job.headers.iter().all(header);
    let headers = job.headers.iter().flat_map(|(name, value)| [name, value]);
    let mut texts = headers.chain(&job.queue).chain([&job.task]);
    if !fits || texts.any(|text| text.contains(char::is_control)) {
        return Err("a job that no sandbox makes".to_owned());
    }
    for (arguments, open) in [(&job.args, b'['), (&job.kwargs, b'{')] {
        check_json(arguments)?;
        let first = arguments.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&open) {
            return Err("arguments of another kind".to_owned());
        }
    }
    Ok(())
}

fn outcome(outcome: &Outcome, limits: &Limits) -> Result<(), String> {
    let texts = |bytes: usize| {
        let allowed = limits.failure_bytes.saturating_add(WORDS);
        match bytes as u64 <= allowed {
            true => Ok(()),
            false => Err(format!("a text of {bytes} bytes")),
        }
    };
    let failure = |said: &Failure| {
        let trace = said.trace.as_ref().map_or(0, String::len);
        texts(said.kind.len() + said.message.len() + trace)
    };
    match outcome {
        Outcome::Returned(result) if result.len() as u64 > limits.result_bytes => {
            Err(format!("a result of {} bytes", result.len()))
        }
        Outcome::Returned(result) => check_json(result),
        Outcome::BadResult { reason } => texts(reason.len()),
        Outcome::Failed(said) => failure(said),
        Outcome::Retry(retry) => failure(&retry.reason),
        Outcome::Reject(rejection) => texts(rejection.reason.len()),
        Outcome::Trapped(trap) if trap.frames.len() > FRAMES => {
            Err(format!("a trap of {} frames", trap.frames.len()))
        }
        Outcome::Trapped(trap) => {
            let frames: usize = trap.frames.iter().map(String::len).sum();
            texts(trap.code.len() + trap.message.len() + frames)
        }
        Outcome::Ignore
        | Outcome::Interrupted { .. }
        | Outcome::LimitHit(_)
        | Outcome::Exited { .. } => Ok(()),
    }
}

fn log(log: &Log, limits: &Limits) -> Result<(), String> {
    let texts = || {
        log.lines.iter().flat_map(|line| {
            let fields = line.fields.iter().flat_map(|(name, value)| [name, value]);
            fields.chain([&line.message])
        })
    };
    let bytes = texts().map(|text| text.len() as u64).sum::<u64>();
    let allowed = limits
        .log_bytes
        .saturating_mul(ESCAPED)
        .saturating_add(WORDS);
    if log.lines.len() as u64 > u64::from(limits.log_lines) + 2 || bytes > allowed {
        return Err(format!("a log of {} lines", log.lines.len()));
    }
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    match texts().any(|text| text.contains(commands)) {
        true => Err("control characters in the log".to_owned()),
        false => Ok(()),
    }
}

fn submitted(submitted: &Submitted, grants: &Grants) -> Result<(), String> {
    let most = usize::try_from(SUBMITS).unwrap_or(usize::MAX);
    let ids = &submitted.ids;
    if ids.len() > most || submitted.on_success.len() > most {
        return Err(format!("{} tasks submitted", ids.len()));
    }
    if ids.iter().any(|id| id.len() > ID_BYTES) {
        return Err("an id that nobody gave".to_owned());
    }
    let wishes = || submitted.on_success.iter().map(|one| &one.wish);
    if wishes().map(Wish::bytes).sum::<u64>() > HELD_BYTES {
        return Err("more submitted than is held".to_owned());
    }
    wishes().try_for_each(|wish| grants.allow(wish))?;
    let replacement = submitted.replacement.iter();
    for signature in replacement {
        grants.allow_signature(signature)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Line};
    use crate::outcome::Rejection;
    use crate::submit::Submission;
    use crate::uses::{Capability, Use};
    use bytes::Bytes;

    fn report(outcome: Outcome) -> Report {
        Report {
            outcome,
            usage: Usage::default(),
            log: Log::default(),
            progress: Vec::new(),
            submitted: Submitted::default(),
        }
    }

    fn wrong(report: &Report) -> String {
        let grants = Grants {
            submit: vec!["mail.*".to_owned()],
            ..Grants::default()
        };
        report.check(&Limits::default(), &grants).unwrap_err()
    }

    fn returned(text: &str) -> Report {
        report(Outcome::Returned(Bytes::copy_from_slice(text.as_bytes())))
    }

    #[test]
    fn what_a_sandbox_reports_is_believed() {
        let mut good = returned(r#"{"a": [1]}"#);
        good.log.lines.push(Line {
            level: Level::Info,
            message: "two\nlines\t".to_owned(),
            fields: vec![("a".to_owned(), "b".to_owned())],
            by_host: false,
        });
        let limits = Limits::default();
        assert_eq!(good.check(&limits, &Grants::default()), Ok(()));
    }

    #[test]
    fn results_that_no_sandbox_lets_through_are_an_intruders() {
        let large = "7".repeat(5 << 20);
        for (text, words) in [("{}{}", "trailing"), (&large, "a result of 5242880 bytes")] {
            let wrong = wrong(&returned(text));
            assert!(wrong.contains(words), "{wrong}");
        }
        let text = "x".repeat(200 << 10);
        let rejection = Rejection {
            requeue: true,
            reason: text,
        };
        assert!(wrong(&report(Outcome::Reject(rejection))).contains("a text of 204800 bytes"));
    }

    #[test]
    fn a_log_that_commands_a_terminal_is_an_intruders() {
        let mut report = returned("1");
        let line = |message: &str| Line {
            level: Level::Info,
            message: message.to_owned(),
            fields: Vec::new(),
            by_host: false,
        };
        report.log.lines = vec![line("\u{1b}[2J")];
        assert_eq!(wrong(&report), "control characters in the log");
        report.log.lines = vec![line(""); 3_000];
        assert_eq!(wrong(&report), "a log of 3000 lines");
    }

    #[test]
    fn a_cost_that_nobody_can_run_up_is_an_intruders() {
        let took = |change: fn(&mut Usage)| {
            let mut report = returned("1");
            change(&mut report.usage);
            report
        };
        let century = |usage: &mut Usage| usage.cpu = Duration::from_secs(100 << 25);
        assert!(wrong(&took(century)).contains("s of CPU time"));
        let memory = |usage: &mut Usage| usage.memory_peak_bytes = 1 << 40;
        assert_eq!(wrong(&took(memory)), "a memory of 1099511627776 bytes");
        let calls = |usage: &mut Usage| usage.host_calls = u64::MAX;
        assert!(wrong(&took(calls)).starts_with("a count of 1844"));
        let denied = |usage: &mut Usage| {
            let many = Use {
                denied: u64::MAX,
                ..Use::default()
            };
            usage.uses.count(Capability::Http, many);
        };
        assert!(wrong(&took(denied)).starts_with("a count of 1844"));
        let read = |usage: &mut Usage| {
            usage.uses.count(Capability::Http, Use::call(u64::MAX, 0));
        };
        assert!(wrong(&took(read)).starts_with("a count of 1844"));
    }

    #[test]
    fn what_was_not_granted_or_is_too_much_is_an_intruders() {
        let job = |task: &str| Submission {
            id: "i".to_owned(),
            wish: Wish::Job(Job {
                task: task.to_owned(),
                args: Bytes::from_static(b"[]"),
                kwargs: Bytes::from_static(b"{}"),
                ..Job::default()
            }),
            index: 0,
        };
        let mut report = returned("1");
        report.submitted.on_success = vec![job("mail.send"), job("bank.pay")];
        assert!(wrong(&report).contains("no grant to send the task \"bank.pay\""));
        report.submitted.on_success = vec![job("mail.send"); 101];
        report.submitted.ids = vec!["i".to_owned(); 101];
        assert_eq!(wrong(&report), "101 tasks submitted");
        report.submitted = Submitted::default();
        report.submitted.replacement = Some(Signature {
            json: Bytes::from_static(br#"{"task": "bank.pay", "args": [], "kwargs": {}}"#),
            tasks: vec!["mail.send".to_owned()],
        });
        assert!(wrong(&report).contains("names other tasks"));
    }

    #[test]
    fn more_time_or_memory_than_there_is_is_an_intruders() {
        let mut report = returned("1");
        let limits = Limits::default();
        report.usage = Usage {
            wall: limits.wall,
            cpu: limits.cpu,
            memory_peak_bytes: limits.memory,
            ..Usage::default()
        };
        assert_eq!(report.check(&limits, &Grants::default()), Ok(()));
        report.usage.memory_peak_bytes += 1;
        assert_eq!(wrong(&report), "a memory of 67108865 bytes");
        for (wall, cpu) in [
            (Duration::MAX, Duration::ZERO),
            (Duration::ZERO, Duration::MAX),
        ] {
            report.usage.wall = wall;
            report.usage.cpu = cpu;
            assert!(wrong(&report).ends_with("s of CPU time"));
        }
    }

    #[test]
    fn a_job_that_no_sandbox_makes_is_an_intruders() {
        let grants = Grants {
            submit: vec!["*".to_owned()],
            ..Grants::default()
        };
        let good = Job {
            task: "mail.send".to_owned(),
            args: Bytes::from_static(b" [1]"),
            kwargs: Bytes::from_static(b"{}"),
            headers: [("a".to_owned(), "b".to_owned())].into(),
            ..Job::default()
        };
        let allowed = |job: Job| grants.allow(&Wish::Job(job));
        assert_eq!(allowed(good.clone()), Ok(()));
        let changes: [fn(&mut Job); 7] = [
            |job| job.task = "t".repeat(513),
            |job| job.queue = Some("q".repeat(256)),
            |job| job.key = Some("k".repeat(256)),
            |job| job.headers = (0..33).map(|n| (n.to_string(), String::new())).collect(),
            |job| job.headers = [("a".to_owned(), "\u{1b}[2J".to_owned())].into(),
            |job| job.args = Bytes::from_static(b"{}"),
            // What would be more of a message than its arguments.
            |job| job.kwargs = Bytes::from_static(br#"{}, {"chain": []}"#),
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(allowed(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_trap_of_more_frames_than_are_told_is_an_intruders() {
        let trap = |frames: usize| {
            report(Outcome::Trapped(crate::outcome::Trap {
                code: "host-call".to_owned(),
                message: String::new(),
                panicked: false,
                frames: vec![String::new(); frames],
            }))
        };
        let grants = Grants::default();
        assert_eq!(trap(20).check(&Limits::default(), &grants), Ok(()));
        assert_eq!(wrong(&trap(21)), "a trap of 21 frames");
    }
}
