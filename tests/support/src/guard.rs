//! Programs that end when the test does that started them, however it ends: a test that is
//! killed drops nothing.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Becomes the program, beside a watch that ends their group when nobody holds the other
/// end of the standard input any more.
const GUARD: &str =
    r#"exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & exec "$0" "$@" 3<&- </dev/null"#;

/// Returns the command of a program in a process group of its own, which is killed when the
/// child that is spawned from it is dropped, or this process ends.
pub(crate) fn guarded(program: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", GUARD, program])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn a_program_is_killed_when_nobody_holds_it_any_more() {
        let mut child = guarded("sleep").arg("1000").spawn().expect("a program");
        assert!(
            child.try_wait().is_ok_and(|ended| ended.is_none()),
            "it runs while it is held"
        );
        drop(child.stdin.take());
        let ended = child.wait().expect("its end");
        assert_eq!(ended.signal(), Some(9));
    }

    #[test]
    fn a_program_that_ends_is_seen_to_end() {
        let mut child = guarded("false").spawn().expect("a program");
        let held = child.stdin.take();
        assert_eq!(child.wait().expect("its end").code(), Some(1));
        drop(held);
    }
}
