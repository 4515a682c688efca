//! The tasks of the demo, their input, and what must become of them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine as _;
use serde_json::{Value, json};

use super::stage::Stage;

/// The modules that are pushed.
pub(super) const MODULES: [&str; 6] = ["text", "images", "numbers", "flaky", "report", "hostile"];

/// One call of the demo.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) task: &'static str,
    pub(super) input: Input,
    pub(super) expected: Expected,
    /// Whether its progress is shown live.
    pub(super) watched: bool,
    /// What a hostile one does; of an honest one nothing is said.
    pub(super) attack: Option<&'static str>,
}

/// Where the positional arguments come from.
#[derive(Debug)]
pub(super) enum Input {
    /// JSON text.
    Json(&'static str),
    /// One argument: the text of a file of the repository.
    Text(&'static str),
    /// One argument: the bytes of a file of the repository; then JSON texts.
    Bytes(&'static str, &'static str),
}

/// What must become of a task.
#[derive(Debug)]
pub(super) enum Expected {
    /// It succeeds.
    Success,
    /// It succeeds with this result, as JSON.
    Result(&'static str),
    /// It fails with an exception of this class.
    Class(&'static str),
}

const fn part(task: &'static str, input: Input, expected: Expected) -> Part {
    Part {
        task,
        input,
        expected,
        watched: false,
        attack: None,
    }
}

const fn attack(task: &'static str, does: &'static str, expected: Expected) -> Part {
    Part {
        attack: Some(does),
        ..part(task, NONE, expected)
    }
}

const NONE: Input = Input::Json("[]");

/// The calls, in the order of the table.
pub(super) const CAST: &[Part] = &[
    part(
        "text.word_count",
        Input::Text("README.md"),
        Expected::Success,
    ),
    part(
        "text.slugify",
        Input::Json(r#"["Celery's queue, hard shell"]"#),
        Expected::Success,
    ),
    part(
        "text.word_count",
        Input::Json("[1]"),
        Expected::Class("TypeError"),
    ),
    part(
        "images.thumbnail",
        Input::Bytes("tasks/images/examples/celeriac.jpg", "160"),
        Expected::Success,
    ),
    part(
        "images.thumbnail",
        Input::Bytes("README.md", "160"),
        Expected::Class("ValueError"),
    ),
    part(
        "numbers.primes",
        Input::Json("[2000000]"),
        Expected::Success,
    ),
    part("flaky.fails_until", Input::Json("[3]"), Expected::Success),
    part(
        "flaky.rejects",
        Input::Json(r#"["obsolete"]"#),
        Expected::Class("Reject"),
    ),
    part("nobody.home", NONE, Expected::Class("NotRegistered")),
    Part {
        watched: true,
        ..part(
            "report.build",
            Input::Json(r#"["Celeriac", 8, 350]"#),
            Expected::Success,
        )
    },
    attack(
        "hostile.spin",
        "loops for ever",
        Expected::Class("TimeLimitExceeded"),
    ),
    attack(
        "hostile.sleep_in_wasi",
        "sleeps for an hour",
        Expected::Class("TimeLimitExceeded"),
    ),
    attack(
        "hostile.eat_memory",
        "wants memory without end",
        Expected::Class("MemoryError"),
    ),
    attack(
        "hostile.recurse",
        "calls itself without end",
        Expected::Class("Trap"),
    ),
    attack(
        "hostile.read_a_file",
        "reads /etc/passwd",
        Expected::Class("OSError"),
    ),
    attack(
        "hostile.open_a_socket",
        "connects to port 22",
        Expected::Class("OSError"),
    ),
    attack(
        "hostile.hoard_jobs",
        "has the host keep things without end",
        Expected::Class("Trap"),
    ),
    attack(
        "hostile.submit_bomb",
        "sends itself 100,000 times, and counts",
        Expected::Result("0"),
    ),
    attack(
        "hostile.result_over_its_limit",
        "returns 5 MiB",
        Expected::Class("LimitExceeded"),
    ),
    attack(
        "hostile.not_json",
        "returns half a document",
        Expected::Class("EncodeError"),
    ),
    attack("hostile.panic", "panics", Expected::Class("Trap")),
    attack(
        "hostile.exit_1",
        "exits and returns nothing",
        Expected::Class("Exited"),
    ),
];

impl Input {
    /// Writes the positional arguments to a file and returns its path.
    pub(super) fn json(&self, stage: &Stage) -> Result<PathBuf> {
        let read = |name: &str| {
            let path = stage.root().join(name);
            std::fs::read(&path).with_context(|| path.display().to_string())
        };
        let text = match self {
            Self::Json(text) => (*text).to_owned(),
            Self::Text(name) => json!([String::from_utf8(read(name)?)?]).to_string(),
            Self::Bytes(name, more) => {
                let bytes = base64::engine::general_purpose::STANDARD.encode(read(name)?);
                format!(r#"[{{"__type__":"base64","__value__":"{bytes}"}}, {more}]"#)
            }
        };
        let file = stage.folder().join("args.json");
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Says what the input is, in a few letters.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Json(text) => (*text).to_owned(),
            Self::Text(name) | Self::Bytes(name, _) => {
                name.rsplit('/').next().unwrap_or(name).to_owned()
            }
        }
    }
}

impl Expected {
    /// Tells whether this became of the task.
    pub(super) fn fits(&self, answer: &Value) -> bool {
        match self {
            Self::Success => answer.get("state") == Some(&json!("SUCCESS")),
            Self::Result(text) => {
                Self::Success.fits(answer)
                    && answer.get("result").map(Value::to_string).as_deref() == Some(*text)
            }
            Self::Class(class) => answer.pointer("/exception/class") == Some(&json!(class)),
        }
    }
}
