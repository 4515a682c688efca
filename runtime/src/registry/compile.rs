//! Compiling in a child process, because a component may be made to exhaust
//! the compiler.
//!
//! The child is this same program as `celeriac compile`: component on standard
//! input, native code on standard output. It limits and cages itself ([`child`]); the
//! parent limits how long it takes and how much it writes, and runs one at a
//! time.

pub(super) mod child;

pub use child::compile_child;

use bytes::Bytes;
use child::REFUSED;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// Longest compilation from start to end (90 s): the child's 60 s of CPU, and
/// half as much again for a busy machine.
const WALL: Duration = Duration::from_secs(90);
/// Most bytes of native code that are taken from the child (256 MiB): it is a
/// few times the size of an upload, which has at most 32 MiB.
pub(super) const CODE_BYTES: u64 = 256 << 20;
/// Most bytes of the child's last words that are kept (16 KiB).
const COMPLAINT_BYTES: u64 = 16 << 10;
/// Exit code of a Rust program that panicked.
const PANICKED: i32 = 101;
/// Signals that come from people and service managers.
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
/// Compilations of one process at a time: more would only share the cores with
/// the tasks that run.
const AT_ONCE: usize = 1;

/// Compiles components in child processes.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    arguments: Vec<OsString>,
    wall: Duration,
    code_bytes: u64,
    turn: Arc<Semaphore>,
}

/// Why there is no native code.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    /// It lies with the component: the same bytes will fail again.
    #[error("{reason}")]
    Refused { reason: String },
    /// It lies with the machine.
    #[error("compiling took longer than {} s; this machine is too busy, push again", .wall.as_secs())]
    Slow { wall: Duration },
    /// The child could not be run at all.
    #[error("the compiler {program:?} cannot be run: {source}")]
    NotRun { program: PathBuf, source: io::Error },
}

impl Compiler {
    /// Compiles with this very program, as `celeriac compile`.
    ///
    /// # Errors
    /// When the path of the running program is not known.
    pub fn this_program() -> io::Result<Self> {
        // The link stays right when an upgrade replaces the file on disk; then
        // another version's code would not fit this engine.
        let running = Path::new("/proc/self/exe");
        let program = match running.try_exists() {
            Ok(true) => running.to_owned(),
            Ok(false) | Err(_) => std::env::current_exe()?,
        };
        Ok(Self::program(program, ["compile"]))
    }

    /// Compiles with another program that behaves as `celeriac compile`.
    pub fn program(
        path: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item: Into<OsString>>,
    ) -> Self {
        Self {
            program: path.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            wall: WALL,
            code_bytes: CODE_BYTES,
            turn: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Compiles a component. Dropping the future kills the child.
    pub(super) async fn compile(&self, component: Bytes) -> Result<Vec<u8>, CompileError> {
        // The semaphore is never closed; were it, compiling at once would be right.
        let _turn = self.turn.acquire().await;
        let mut child = self.start().map_err(|source| self.not_run(source))?;
        let work = self.exchange(&mut child, component);
        match tokio::time::timeout(self.wall, work).await {
            Ok(result) => result,
            Err(_) => {
                // Killed and reaped here, so that it takes no CPU any more.
                child.kill().await.map_err(|source| self.not_run(source))?;
                Err(CompileError::Slow { wall: self.wall })
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg0("celeriac")
            .args(&self.arguments)
            // It needs nothing of ours; what it reads is hostile.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    async fn exchange(&self, child: &mut Child, component: Bytes) -> Result<Vec<u8>, CompileError> {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let give = async move {
            if let Some(mut stdin) = stdin {
                // A child that ends before it read all says why by its status.
                drop(stdin.write_all(&component).await);
            }
        };
        let ((), code, complaint) = tokio::join!(
            give,
            take(stdout, self.code_bytes),
            take(stderr, COMPLAINT_BYTES)
        );
        let (code, too_much) = code.map_err(|source| self.not_run(source))?;
        let (complaint, _) = complaint.map_err(|source| self.not_run(source))?;
        if too_much {
            child.kill().await.map_err(|source| self.not_run(source))?;
            let reason = format!(
                "it compiles to more than {} bytes of native code (fixed)",
                self.code_bytes
            );
            return Err(CompileError::Refused { reason });
        }
        let status = child.wait().await.map_err(|source| self.not_run(source))?;
        if status.success() {
            return Ok(code);
        }
        Err(self.judge(status, &complaint))
    }

    fn judge(&self, status: ExitStatus, complaint: &[u8]) -> CompileError {
        let words = readable(complaint);
        match (status.code(), status.signal()) {
            (Some(code), _) if code == i32::from(REFUSED) && !words.is_empty() => {
                return CompileError::Refused { reason: words };
            }
            (Some(PANICKED), _) => {}
            // Not our compiler's words: a shell's, or a command line's.
            (Some(_), _) => return self.not_run(io::Error::other(format!("{status}: {words}"))),
            // Somebody stopped it, as with Control-C at a terminal.
            (None, Some(SIGHUP | SIGINT | SIGTERM)) => {
                return self.not_run(io::Error::new(
                    io::ErrorKind::Interrupted,
                    status.to_string(),
                ));
            }
            (None, _) => {}
        }
        let reason = child::limit_of(status.signal(), &words)
            .unwrap_or_else(|| format!("the compiler ended with {status}: {words}"));
        CompileError::Refused { reason }
    }

    fn not_run(&self, source: io::Error) -> CompileError {
        CompileError::NotRun {
            program: self.program.clone(),
            source,
        }
    }
}

/// Reads up to `most` bytes, and tells whether there were more.
async fn take(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .await?;
    }
    let too_much = bytes.len() as u64 > most;
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok((bytes, too_much))
}

/// Makes hostile words fit for a terminal: one line of printable characters
/// per line.
fn readable(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let clean: String = text
        .chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod children;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Compiler {
        Compiler::program("/bin/sh", ["-c", script])
    }

    async fn fails(compiler: &Compiler) -> CompileError {
        compiler
            .compile(Bytes::from_static(b"wasm"))
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn the_child_reads_the_component_and_writes_the_code() {
        let code = shell("cat; printf code")
            .compile(Bytes::from_static(b"wasm "))
            .await
            .unwrap();
        assert_eq!(code, b"wasm code");
    }

    #[tokio::test]
    async fn a_component_larger_than_a_pipe_goes_through_while_code_comes_back() {
        let large = Bytes::from(vec![7; 3 << 20]);
        assert_eq!(
            shell("exec cat").compile(large.clone()).await.unwrap(),
            large
        );
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_words_and_no_control_characters() {
        let error = fails(&shell(r"printf 'too \033[31mdeep' >&2; exit 3")).await;
        assert!(
            matches!(&error, CompileError::Refused { reason } if reason == "too \u{fffd}[31mdeep"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_compiler_that_uses_up_its_cpu_time_is_a_refusal() {
        let error = fails(&shell("kill -XCPU $$")).await;
        assert!(
            matches!(&error, CompileError::Refused { reason } if reason.contains("60 s of CPU")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_compiler_that_crashes_is_a_refusal() {
        let error = fails(&shell("kill -SEGV $$")).await;
        assert!(
            matches!(&error, CompileError::Refused { reason } if reason.contains("signal")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_compiler_that_gets_no_memory_is_a_refusal() {
        let error = fails(&shell(
            "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
        ))
        .await;
        assert!(
            matches!(&error, CompileError::Refused { reason } if reason.contains("4 GiB of memory")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_compiler_that_asks_the_system_for_more_is_a_refusal() {
        let error = fails(&shell("kill -SYS $$")).await;
        assert!(
            matches!(&error, CompileError::Refused { reason } if reason.contains("no compilation needs")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_compiler_that_panics_is_a_refusal() {
        let error = fails(&shell("echo 'index out of bounds' >&2; exit 101")).await;
        assert!(
            matches!(&error, CompileError::Refused { reason } if reason.contains("out of bounds")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_compiler_that_was_stopped_or_is_another_program_is_not_the_components_fault() {
        for script in [
            "kill -INT $$",
            "kill -TERM $$",
            "exit 1",
            "exit 2",
            "exit 4",
            "exit 3",
        ] {
            let error = fails(&shell(script)).await;
            assert!(
                matches!(&error, CompileError::NotRun { .. }),
                "{script}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_compiler_without_end_is_killed_and_the_machine_is_blamed() {
        let mut compiler = shell("exec cat /dev/zero >/dev/null");
        compiler.wall = Duration::from_millis(100);
        assert!(matches!(fails(&compiler).await, CompileError::Slow { .. }));
        assert_eq!(compiler.turn.available_permits(), AT_ONCE);
    }

    #[tokio::test]
    async fn more_code_than_allowed_is_a_refusal() {
        let mut compiler = shell("exec cat /dev/zero");
        compiler.code_bytes = 100_000;
        let error = fails(&compiler).await;
        assert!(
            error.to_string().contains("more than 100000 bytes"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn endless_complaints_do_not_fill_the_memory() {
        let error = fails(&shell("head -c 1000000 /dev/zero >&2; exit 3")).await;
        assert!(error.to_string().len() <= 3 * usize::try_from(COMPLAINT_BYTES).unwrap());
    }

    #[tokio::test]
    async fn a_missing_program_is_trouble_of_the_machine() {
        let error = fails(&Compiler::program("/no/such/program", ["compile"])).await;
        assert!(matches!(&error, CompileError::NotRun { .. }), "{error:?}");
        let error = fails(&shell("exec /no/such/program")).await;
        assert!(matches!(&error, CompileError::NotRun { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn the_child_sees_nothing_of_the_environment() {
        let code = shell("/usr/bin/env | /bin/grep -c CARGO || true")
            .compile(Bytes::new())
            .await
            .unwrap();
        assert_eq!(code, b"0\n");
    }
}
