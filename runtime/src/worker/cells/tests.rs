//! Cells that lie, hang or die: a shell that says what an intruder would.

use super::wire::{self, Ask, FromCell, ToCell, Trouble};
use super::{CELLS, Cells, Program, Work};
use crate::registry::tests::{House, component, us};
use crate::registry::{Loaded, Resolution};
use crate::task::TaskName;
use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, Grants, Job, Limits, Log, Outcome, Report, SandboxError, Signature, Submitted,
    Usage, When, Wish,
};
use futures::FutureExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

struct Stand {
    house: House,
    code: Arc<Loaded>,
}

impl Stand {
    async fn new() -> Self {
        let house = House::open().await;
        let tasks = component(&["seven"], "");
        house.push("m", &tasks).await.unwrap();
        let resolver = house.registry.resolver("w@host").await.unwrap();
        let found = resolver.resolve(&us(), &"m.seven".parse().unwrap()).await;
        let Resolution::Known(code) = found.unwrap() else {
            panic!("it was pushed")
        };
        Self { house, code }
    }

    /// Runs the task in cells of a shell script.
    async fn run(&self, script: &str, limits: Limits) -> Result<Report, SandboxError> {
        let cells = cells_of(shell(script));
        cells.invoke(&self.code, work(limits)).await
    }

    /// Runs it in a cell that says these frames, whatever it hears.
    async fn told(&self, frames: &[FromCell]) -> Result<Report, SandboxError> {
        let mut said = Vec::new();
        for frame in frames {
            wire::write(&mut said, frame).await.unwrap();
        }
        let file = self.house.path().join("said");
        std::fs::write(&file, said).unwrap();
        self.run(&says(&file, NOBODY), Limits::default()).await
    }
}

/// The id of tasks that have no other.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A cell that says what is in a file, once it was told of a run of this id.
fn says(file: &Path, id: &str) -> String {
    format!(
        "heard={0}.$$; exec 3<&0; : > $heard; cat <&3 > $heard & \
         until grep -aq {id} $heard; do :; done; cat {0}; wait",
        file.display()
    )
}

fn shell(script: &str) -> Program {
    Program {
        path: Path::new("/bin/sh").to_owned(),
        arguments: ["-c", script].map(Into::into).into(),
    }
}

fn cells_of(program: Program) -> Cells {
    Cells::of(program, Handle::current())
}

fn work(limits: Limits) -> Work {
    Work {
        call: Call {
            task: "seven".to_owned(),
            args: Bytes::from_static(b"[]"),
            kwargs: Bytes::from_static(b"{}"),
        },
        limits,
        grants: Grants::default(),
        facts: Attempt::default(),
    }
}

fn ended(run: u64) -> FromCell {
    let usage = Usage::default();
    FromCell::Ended { run, usage }
}

fn done(result: &'static [u8]) -> FromCell {
    let report = Report {
        outcome: Outcome::Returned(Bytes::from_static(result)),
        usage: Usage::default(),
        log: Log::default(),
        progress: Vec::new(),
        submitted: Submitted::default(),
    };
    FromCell::Done {
        run: 0,
        end: Ok(Box::new(report)),
    }
}

fn lost(answer: Result<Report, SandboxError>) -> String {
    match answer {
        Err(SandboxError::Lost { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_report_is_believed_if_a_sandbox_could_have_made_it() {
    let stand = Stand::new().await;
    let report = stand.told(&[done(b"[7]")]).await.unwrap();
    assert_eq!(
        report.outcome,
        Outcome::Returned(Bytes::from_static(b"[7]"))
    );
    let reason = lost(stand.told(&[done(b"[7]]")]).await);
    assert!(reason.starts_with("it reported"), "{reason}");
}

#[tokio::test]
async fn what_was_not_granted_is_not_sent_whatever_the_cell_says() {
    let stand = Stand::new().await;
    let wish = Wish::Job(Job {
        task: "bank.pay".to_owned(),
        args: Bytes::from_static(b"[]"),
        kwargs: Bytes::from_static(b"{}"),
        ..Job::default()
    });
    let replacement = Signature {
        json: Bytes::from_static(br#"{"task": "bank.pay", "args": [], "kwargs": {}}"#),
        tasks: Vec::new(),
    };
    for ask in [
        Ask::Wish {
            wish,
            when: When::Now,
            index: 0,
        },
        Ask::Replace {
            signature: replacement,
        },
    ] {
        let frames = [FromCell::Ask { run: 0, ask }, done(b"1")];
        let reason = lost(stand.told(&frames).await);
        assert!(reason.starts_with("it asks without a grant"), "{reason}");
    }
}

#[tokio::test]
async fn a_cell_that_speaks_of_runs_of_others_is_killed() {
    let stand = Stand::new().await;
    let FromCell::Done { end, .. } = done(b"1") else {
        unreachable!()
    };
    let theirs = FromCell::Done { run: 1, end };
    for frames in [vec![theirs, done(b"1")], vec![ended(7), done(b"1")]] {
        let reason = lost(stand.told(&frames).await);
        assert_eq!(reason, "it spoke of a run that it does not have");
    }
    let reason = lost(stand.told(&[ended(0)]).await);
    assert_eq!(reason, "it ended a run that nobody had told it to end");
}

/// Both cost a delivery, so that no message goes round without end.
#[tokio::test]
async fn a_cell_that_never_has_room_or_cannot_run_anything_is_lost() {
    let stand = Stand::new().await;
    let told = |end| [FromCell::Done { run: 0, end }];
    let busy = told(Err(Trouble::Busy { slots: 1 }));
    let reason = lost(stand.told(&busy).await);
    assert_eq!(reason, "it had no room for a run, and none was there");
    let reason = "x".repeat(1 << 20);
    let broken = told(Err(Trouble::Broken { reason }));
    let reason = lost(stand.told(&broken).await);
    assert!(
        reason.starts_with("it could not run a task: xxx"),
        "{reason}"
    );
    assert_eq!(reason.len(), 300);
}

#[tokio::test]
async fn a_cell_may_have_no_room_while_another_run_is_there() {
    let stand = Stand::new().await;
    let mut said = Vec::new();
    let end = Err(Trouble::Busy { slots: 1 });
    let second = FromCell::Done { run: 1, end };
    wire::write(&mut said, &second).await.unwrap();
    let file = stand.house.path().join("said");
    std::fs::write(&file, said).unwrap();
    let script = says(&file, "second");
    let cells = cells_of(shell(&script));
    let first = cells.invoke(&stand.code, work(Limits::default()));
    let mut named = work(Limits::default());
    named.facts.id = "second".to_owned();
    let second = async {
        tokio::task::yield_now().await;
        cells.invoke(&stand.code, named).await
    };
    tokio::select! {
        answer = first => panic!("{answer:?}"),
        answer = second => assert!(
            matches!(answer, Err(SandboxError::Busy { slots: 1 })),
            "{answer:?}"
        ),
    }
}

/// The same component as so many modules.
async fn modules(house: &House, count: usize) -> Vec<Arc<Loaded>> {
    let tasks = component(&["seven"], "");
    for number in 0..count {
        house.push(&format!("m{number}"), &tasks).await.unwrap();
    }
    let resolver = house.registry.resolver("w@host").await.unwrap();
    let mut codes = Vec::new();
    for number in 0..count {
        let name: TaskName = format!("m{number}.seven").parse().unwrap();
        match resolver.resolve(&us(), &name).await.unwrap() {
            Resolution::Known(code) => codes.push(code),
            Resolution::Unknown => panic!("{name} was pushed"),
        }
    }
    codes
}

#[tokio::test]
async fn sixty_four_cells_are_the_most_and_one_that_does_nothing_makes_room() {
    let house = House::open().await;
    let codes = modules(&house, CELLS + 1).await;
    let (last, first) = codes.split_last().unwrap();
    let busy = cells_of(shell("exec 3>&1; exec cat > /dev/null"));
    let mut runs: Vec<_> = first
        .iter()
        .map(|code| Box::pin(busy.invoke(code, work(Limits::default()))))
        .collect();
    for run in &mut runs {
        assert!(run.now_or_never().is_none());
    }
    let answer = busy.invoke(last, work(Limits::default())).await;
    assert!(
        matches!(answer, Err(SandboxError::Busy { slots: 64 })),
        "{answer:?}"
    );
    drop(runs);

    let mut said = Vec::new();
    wire::write(&mut said, &done(b"7")).await.unwrap();
    let file = house.path().join("said");
    std::fs::write(&file, said).unwrap();
    let idle = cells_of(shell(&says(&file, NOBODY)));
    for code in &codes {
        idle.invoke(code, work(Limits::default())).await.unwrap();
        assert!(idle.cells.lock().unwrap().len() <= CELLS);
    }
    let groups = idle.cells.lock().unwrap();
    assert!(!groups.contains_key("m0") && groups.contains_key("m64"));
}

#[tokio::test]
async fn a_cell_that_says_nonsense_dies_or_does_not_start_is_lost() {
    let stand = Stand::new().await;
    for (script, words) in [
        (
            "printf '\\377\\377\\377\\377'; exec cat > /dev/null",
            "a frame of",
        ),
        (
            "printf '\\003\\0\\0\\0abc'; exec cat > /dev/null",
            "it said nonsense",
        ),
        ("exit 3", "exit status: 3"),
        ("kill -SEGV $$", "signal: 11"),
        (
            "exec >&-; exec cat > /dev/null",
            "closed its standard output",
        ),
    ] {
        let reason = lost(stand.run(script, Limits::default()).await);
        assert!(reason.contains(words), "{script}: {reason}");
    }
    let nowhere = Program {
        path: Path::new("/no/such/program").to_owned(),
        arguments: Vec::new(),
    };
    let cells = cells_of(nowhere);
    let answer = cells.invoke(&stand.code, work(Limits::default())).await;
    assert!(
        matches!(answer, Err(SandboxError::NotStarted { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_cell_that_does_not_end_a_run_in_its_time_is_killed() {
    let stand = Stand::new().await;
    tokio::time::pause();
    let limits = Limits {
        wall: Duration::from_secs(1),
        ..Limits::default()
    };
    let reason = lost(stand.run("exec 3>&1; exec cat > /dev/null", limits).await);
    assert_eq!(reason, "it did not end a run in its time");
}

#[tokio::test]
async fn a_cell_that_goes_on_with_what_it_was_told_to_end_is_killed() {
    let stand = Stand::new().await;
    let cells = cells_of(shell("exec 3>&1; exec cat > /dev/null"));
    tokio::time::pause();
    let nobody = tokio::time::timeout(
        Duration::from_millis(1),
        cells.invoke(&stand.code, work(Limits::default())),
    );
    assert!(nobody.await.is_err(), "nobody waits for it any more");
    // Another run of the same cell is lost with it.
    let reason = lost(cells.invoke(&stand.code, work(Limits::default())).await);
    assert_eq!(reason, "it did not end a run that it was told to end");
}

#[tokio::test]
async fn the_cost_of_a_run_that_was_cut_off_is_believed_within_bounds() {
    let stand = Stand::new().await;
    let seconds = |cpu| Usage {
        cpu: Duration::from_secs(cpu),
        host_calls: 7,
        ..Usage::default()
    };
    for (said, believed) in [
        (seconds(3), seconds(3)),
        (seconds(1 << 40), Usage::default()),
    ] {
        let [go, frames] = ["go", "frames"].map(|name| stand.house.path().join(name));
        let mut ended = Vec::new();
        let frame = FromCell::Ended {
            run: 0,
            usage: said,
        };
        wire::write(&mut ended, &frame).await.unwrap();
        std::fs::write(&frames, ended).unwrap();
        let script = format!(
            "until test -e {}; do :; done; cat {}; exec cat > /dev/null",
            go.display(),
            frames.display()
        );
        let cells = cells_of(shell(&script));
        let work = work(Limits::default());
        let bill = work.facts.bill.clone();
        let cut_off = cells.invoke(&stand.code, work);
        assert!(cut_off.now_or_never().is_none());
        // It was told to end, and says so only now.
        std::fs::write(&go, "").unwrap();
        bill.closed().await;
        assert_eq!(bill.total(), believed);
        std::fs::remove_file(go).unwrap();
    }
}

#[tokio::test]
async fn a_cell_sees_nothing_of_the_environment() {
    let stand = Stand::new().await;
    let file = stand.house.path().join("seen");
    let script = format!("/usr/bin/env > {}; pwd >> {0}", file.display());
    lost(stand.run(&script, Limits::default()).await);
    let seen = std::fs::read_to_string(file).unwrap();
    assert!(!seen.contains("CARGO") && !seen.contains("HOME"), "{seen}");
    assert!(seen.ends_with("/\n"), "{seen}");
}

#[test]
fn an_order_is_read_as_it_was_written() {
    let order = ToCell::Cancel { run: 7 };
    let bytes = rmp_serde::to_vec_named(&order).unwrap();
    let read: ToCell = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(format!("{read:?}"), format!("{order:?}"));
}
