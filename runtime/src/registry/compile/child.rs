//! The child's side: `celeriac compile`.
//!
//! Limits say how much it may use, and walls what it may reach: nothing. No process of its
//! own may be started, whatever the limit on processes says, which root is not held to.

use super::CODE_BYTES;
use crate::confine;
use crate::defence::{Defence, stands};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Exit code of a refusal; its words are on standard error.
pub(super) const REFUSED: u8 = 3;
/// Exit code of trouble that has nothing to do with the component.
pub(in crate::registry) const TROUBLE: u8 = 4;
/// CPU time of one compilation, seconds (60): Python's component, the largest
/// that is known, takes 11, and twice that on a slow core.
const CPU_SECONDS: u64 = 60;
/// Address space of the child, bytes (4 GiB): ten times what Python's component takes,
/// for allocators reserve more than they touch.
const ADDRESS_BYTES: u64 = 4 << 30;
/// Open files of the child: its three pipes, and what the runtime opens.
const OPEN_FILES: u64 = 64;
/// How much the child gives way to the tasks that run.
const NICE: i32 = 5;
/// Signal of a process that used up its CPU time.
const SIGXCPU: i32 = 24;
/// Signal of a process that wrote a file beyond its largest size.
const SIGXFSZ: i32 = 25;
/// Signal of a process that asks the system for something else than memory and time.
const SIGSYS: i32 = 31;
/// Signal of a process that ends itself, as when it gets no memory.
const SIGABRT: i32 = 6;

/// Compiles the component on standard input to native code on standard output,
/// under limits of its own. The whole of the subcommand `celeriac compile`.
///
/// Exit code 3 is a refusal, with its words on standard error. With `tell` it says which
/// walls this kernel offers instead.
#[must_use]
pub fn compile_child(tell: bool) -> ExitCode {
    let limited = limit_this_process();
    let limited = limited.map_err(|error| (TROUBLE, format!("the limits cannot be set: {error}")));
    let done = limited.and_then(|()| {
        // A kernel without some of them compiles all the same, behind the rest.
        let walls = confine::cage();
        match tell {
            true => written(writeln!(io::stdout(), "{walls}")),
            false => compile(io::stdin().lock(), io::stdout().lock()),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, words)) => {
            // Nobody is left to tell when standard error is gone.
            drop(writeln!(io::stderr(), "{words}"));
            ExitCode::from(code)
        }
    }
}

/// Limits CPU time, memory, files and processes of this whole process.
pub(in crate::registry) fn limit_this_process() -> io::Result<()> {
    let limits = [
        // The second ends what the signal at the first did not.
        (
            Resource::Cpu,
            CPU_SECONDS,
            CPU_SECONDS + 2,
            Defence::CompilerCpu,
        ),
        (
            Resource::As,
            ADDRESS_BYTES,
            ADDRESS_BYTES,
            Defence::CompilerMemory,
        ),
        (
            Resource::Nofile,
            OPEN_FILES,
            OPEN_FILES,
            Defence::CompilerFiles,
        ),
        // Its output is a pipe; by hand it may be a file.
        (
            Resource::Fsize,
            CODE_BYTES,
            CODE_BYTES,
            Defence::CompilerFileSize,
        ),
        (Resource::Core, 0, 0, Defence::Dumps),
        // One process, one thread.
        (Resource::Nproc, 0, 0, Defence::CompilerProcesses),
    ];
    for (resource, soft, hard, defence) in limits {
        if !stands(defence) {
            continue;
        }
        // A limit that is lower already cannot be raised again, and stays.
        let lowest = |most: u64| {
            getrlimit(resource)
                .maximum
                .map_or(most, |set| set.min(most))
        };
        let limit = Rlimit {
            current: Some(lowest(soft)),
            maximum: Some(lowest(hard)),
        };
        setrlimit(resource, limit)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    // A machine that forbids it compiles at the usual priority.
    let _ = rustix::process::nice(NICE);
    Ok(())
}

/// Compiles from one stream to another; an error is the exit code and words.
pub(in crate::registry) fn compile(
    input: impl Read,
    mut output: impl Write,
) -> Result<(), (u8, String)> {
    let mut component = Vec::new();
    let most = celeriac_sandbox::UPLOAD_BYTES;
    input
        .take(most.saturating_add(1))
        .read_to_end(&mut component)
        .map_err(|error| (TROUBLE, format!("the component cannot be read: {error}")))?;
    let code =
        celeriac_sandbox::compile(&component).map_err(|refusal| (REFUSED, refusal.to_string()))?;
    written(output.write_all(&code).and_then(|()| output.flush()))
}

fn written(done: io::Result<()>) -> Result<(), (u8, String)> {
    done.map_err(|error| (TROUBLE, format!("the answer cannot be written: {error}")))
}

/// Tells which limit ended a compiler that was killed by `signal`.
pub(super) fn limit_of(signal: Option<i32>, words: &str) -> Option<String> {
    match signal? {
        SIGXCPU => Some(format!(
            "compiling it takes more than {CPU_SECONDS} s of CPU time (fixed)"
        )),
        SIGXFSZ => Some(format!(
            "it compiles to more than {CODE_BYTES} bytes of native code"
        )),
        SIGSYS => Some(
            "compiling it made the compiler ask the system for something that no compilation needs"
                .to_owned(),
        ),
        SIGABRT if words.contains("memory allocation") => Some(format!(
            "compiling it takes more than {} GiB of memory (fixed)",
            ADDRESS_BYTES >> 30
        )),
        _ => None,
    }
}
