//! `docs/platform.md`, typed into a shell as it is written: its servers are private ones, and
//! what a run prints is compared with what the page shows.

use super::shell::Shell;
use super::{Step, lasting, steps};
use crate::celery::python;
use crate::stage;
use std::path::Path;
use std::process::Command;
use support::{Moto, Postgres, Redis, Stage, until};

const PAGE: &str = include_str!("../../../docs/platform.md");
/// The heading of what needs other servers; all before it is one session.
const SERVERS: &str = "\n## More than one machine\n";
/// Where the page says that the control plane listens, and that Redis does.
const PLANE: &str = "127.0.0.1:8790";
const REDIS: &str = "localhost:6379";
/// Where it says that rows and components are.
const ROWS: &str = "postgresql://celeriac:secret@localhost:5432/celeriac";
const COMPONENTS: &str =
    "s3://celeriac/components?region=eu-central-1&endpoint=http://localhost:9000";

/// Plays the page.
struct Reader {
    shell: Shell,
    /// What the page says, and what it is here.
    places: Vec<(String, String)>,
    stage: Stage,
    _redis: Redis,
}

impl Reader {
    fn new(more: Vec<(String, String)>) -> Self {
        let (stage, redis) = (stage(), Redis::start());
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CELERIAC_") {
                bash.env_remove(name);
            }
        }
        let programs = stage.path("programs");
        std::fs::create_dir(&programs).expect("a folder");
        let program = programs.join("celeriac");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_celeriac"), program).expect("a link");
        // Celery's client may wait for itself where the collector of cycles ends a result.
        let quiet = "import gc\ngc.disable()\n";
        std::fs::write(programs.join("sitecustomize.py"), quiet).expect("a file");
        let path = std::env::var("PATH").expect("a path");
        let python = python("5.7").programs().display().to_string();
        // Kept between runs, so that only the first one builds the SDK.
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests/tutorial");
        bash.env("PATH", format!("{}:{python}:{path}", programs.display()))
            .env("PYTHONPATH", &programs)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CARGO_TARGET_DIR", built)
            .env("CELERIAC_SERVE__LISTEN", "127.0.0.1:0")
            .env("CELERIAC_WORKER__LISTEN", "127.0.0.1:0");
        let output = stage.path("output");
        let shell = Shell::start(bash, stage.folder(), output);
        let mut places = vec![(REDIS.to_owned(), format!("localhost:{}", redis.port()))];
        places.extend(more);
        Self {
            shell,
            places,
            stage,
            _redis: redis,
        }
    }

    /// Writes what the page says as it is here.
    fn here(&self, text: &str) -> String {
        let places = self.places.iter();
        places.fold(text.to_owned(), |text, (page, here)| {
            text.replace(page, here)
        })
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::File(path, content) => {
                let file = self.shell.folder().join(path);
                std::fs::write(file, self.here(content)).expect("the file of the page");
            }
            Step::Command(command, printed) => self.command(command, printed),
        }
    }

    fn command(&mut self, command: &str, printed: &[String]) {
        let typed = self.shell.run(&self.here(command));
        assert_eq!(typed.code, "0", "{command}: {}", typed.out);
        if !command.ends_with('&') {
            let missing = self.missing(&typed.out, printed);
            assert!(
                missing.is_none(),
                "the page says {missing:?} after {command:?}, but {}",
                typed.out
            );
            return;
        }
        if command.ends_with("serve &") {
            self.places.retain(|(page, _)| page != PLANE);
            let address = until("it listens", || {
                let seen = self.shell.since();
                let (_, after) = seen.split_once("control plane http://")?;
                let (address, _) = after.split_once('\n')?;
                Some(address.trim().to_owned())
            });
            self.places.push((PLANE.to_owned(), address));
        }
        until(command, || {
            self.missing(&self.shell.since(), printed)
                .is_none()
                .then_some(())
        });
    }

    /// Returns the first line of the page that was not printed.
    fn missing(&self, out: &str, printed: &[String]) -> Option<String> {
        let is_said = |line: &str| {
            let lasts = lasting(line);
            let mut said = out.lines();
            said.any(|said| is_like(said, line) || is_like(&lasting(said), &lasts))
        };
        let missing = printed.iter().find(|line| !is_said(&self.here(line)));
        missing.cloned()
    }
}

/// Tells whether a line is another, where `…` stands for anything.
fn is_like(said: &str, line: &str) -> bool {
    let mut rest = said;
    let mut parts = line.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn play(reader: &mut Reader, text: &str) -> usize {
    let steps = steps(text);
    for step in &steps {
        reader.play(step);
    }
    steps.len()
}

#[test]
fn an_operator_comes_from_nothing_to_a_tenants_first_task() {
    let (page, _) = PAGE.split_once(SERVERS).expect("the page has that heading");
    let mut reader = Reader::new(Vec::new());
    let count = play(&mut reader, page);
    assert!(count >= 20, "{count} steps");
    reader.shell.ends();
}

#[test]
fn an_operator_keeps_it_on_servers_that_several_machines_share() {
    let (_, page) = PAGE.split_once(SERVERS).expect("the page has that heading");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let (postgres, moto) = (Postgres::start(), Moto::start(&target));
    let mut reader = Reader::new(vec![
        (ROWS.to_owned(), postgres.url()),
        (COMPONENTS.to_owned(), moto.url("components")),
    ]);
    let component = reader.stage.component("text");
    let folder = reader.shell.folder();
    std::fs::copy(component, folder.join("text.wasm")).expect("a copy");
    let count = play(&mut reader, page);
    assert!(count >= 5, "{count} steps");
    reader.shell.ends();
}

#[test]
fn a_line_is_like_another_where_only_what_is_left_open_differs() {
    for (said, line, alike) in [
        ("a b c", "a b c", true),
        ("a b c", "a b", false),
        ("token clr_123 made", "token clr_… made", true),
        ("token clr_123 lost", "token clr_… made", false),
        ("{\"id\":\"1\",\"b\":2}", "{\"id\":\"…\",\"b\":2}", true),
        ("{\"id\":\"1\",\"b\":3}", "{\"id\":\"…\",\"b\":2}", false),
        ("x", "…", true),
    ] {
        assert_eq!(is_like(said, line), alike, "{said:?} {line:?}");
    }
}
