//! What a worker and its cells say to each other: frames on the cell's standard input and
//! output, each its length in four bytes and a MessagePack document.
//!
//! What comes from a cell is hostile: its guests may have broken out of their sandbox.

use super::weigh::weigh;
use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, EgressSettings, Grants, Interruption, KeepError, Limits, Progress, Report,
    Signature, SubmitError, Usage, When, Wish,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a frame to a cell may be: native code has at most 256 MiB, and its worker is believed.
pub(super) const TO_CELL: Most = Most {
    bytes: 512 << 20,
    values: u64::MAX,
};
/// Bytes of a frame around what it carries (64 KiB).
const AROUND: u64 = 64 << 10;

/// What one frame may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) bytes: u64,
    /// Numbers, texts, lists, names and whatever else it stands for.
    pub(super) values: u64,
}

impl Most {
    /// What a frame of an attempt with these limits may be: its report, and less than that
    /// while it runs.
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            bytes: limits.report_bytes().saturating_add(AROUND),
            values: limits.report_values(),
        }
    }

    /// Returns what both may be.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            values: self.values.max(other.values),
        }
    }
}

/// What a cell is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToCell {
    /// How its guests send by HTTP, and the certificates of all whom they trust; said first,
    /// where they send at all. What they may reach comes with each run.
    Egress {
        settings: EgressSettings,
        authorities: Vec<Octets>,
    },
    /// Native code, which runs from now on by this number.
    Load {
        code: u32,
        #[serde(with = "celeriac_sandbox::octets")]
        artifact: Bytes,
    },
    /// Run an attempt.
    Run(Box<Order>),
    /// Ask a guest to stop.
    Interrupt { run: u64, reason: Interruption },
    /// End a guest; nobody waits for it.
    Cancel { run: u64 },
    /// What became of a wish.
    Answer { run: u64, answer: Answer },
}

/// An attempt that a cell is to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) run: u64,
    pub(super) code: u32,
    pub(super) call: Call,
    pub(super) limits: Limits,
    pub(super) grants: Grants,
    pub(super) facts: Attempt,
}

/// What a cell tells. A guest waits for the answer to its wish, so that there is at most
/// one of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromCell {
    /// A guest wants something done, and waits.
    Ask { run: u64, ask: Ask },
    /// How far a guest is.
    Progress { run: u64, progress: Progress },
    /// A guest that was to end for nobody has ended, and did not end by itself before; and
    /// what it took until then.
    Ended { run: u64, usage: Usage },
    /// An attempt is over.
    Done {
        run: u64,
        end: Result<Box<Report>, Trouble>,
    },
}

impl FromCell {
    pub(super) fn run(&self) -> u64 {
        match self {
            Self::Ask { run, .. }
            | Self::Progress { run, .. }
            | Self::Ended { run, .. }
            | Self::Done { run, .. } => *run,
        }
    }

    /// Returns what a run took, which its last word tells.
    pub(super) fn took(&self) -> Option<Usage> {
        match self {
            Self::Ended { usage, .. } => Some(*usage),
            Self::Done { end, .. } => end.as_ref().ok().map(|report| report.usage),
            Self::Ask { .. } | Self::Progress { .. } => None,
        }
    }

    /// Tells whether it is the last word of a run.
    pub(super) fn ends(&self) -> bool {
        match self {
            Self::Ended { .. } | Self::Done { .. } => true,
            Self::Ask { .. } | Self::Progress { .. } => false,
        }
    }
}

/// What a guest wants done by its worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// A task, or what a signature describes.
    Wish { wish: Wish, when: When, index: u32 },
    /// What takes its work over.
    Replace { signature: Signature },
    /// The values of keys.
    Get { keys: Vec<String> },
    /// Values to be kept.
    Set { pairs: Vec<(String, Octets)> },
    /// Keys to be removed.
    Delete { keys: Vec<String> },
    /// A page of keys.
    Keys { after: u64 },
    /// A number to be added to.
    Increment { key: String, delta: u64 },
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The id of what was sent.
    Sent(Result<String, SubmitError>),
    /// What is kept.
    Kept(Result<Kept, KeepError>),
}

/// What the key-value store answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Kept {
    Values(Vec<Option<Octets>>),
    Done,
    Keys(Vec<String>),
    Sum(u64),
}

/// Bytes, written as such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Octets(#[serde(with = "celeriac_sandbox::octets")] pub(super) Bytes);

/// Why a cell could not run an attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Trouble {
    /// All its slots are taken.
    Busy { slots: u32 },
    /// The code cannot be instantiated.
    Broken { reason: String },
}

/// Writes a frame.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let frame = rmp_serde::to_vec_named(message).map_err(io::Error::other)?;
    let bytes = u32::try_from(frame.len()).map_err(io::Error::other)?;
    to.write_all(&bytes.to_le_bytes()).await?;
    to.write_all(&frame).await?;
    to.flush().await
}

/// Reads a frame of at most what `most` says once it comes; `None` at the end.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    most: impl FnOnce() -> Most,
) -> io::Result<Option<T>> {
    let mut bytes = [0; 4];
    match from.read_exact(&mut bytes).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let bytes = u64::from(u32::from_le_bytes(bytes));
    let most = most();
    if bytes > most.bytes {
        return Err(io::Error::other(format!(
            "a frame of {bytes} bytes; at most {} are read",
            most.bytes
        )));
    }
    // No room is made for bytes that do not come.
    let mut frame = Vec::new();
    from.take(bytes).read_to_end(&mut frame).await?;
    weigh(&frame, most.values).map_err(io::Error::other)?;
    rmp_serde::from_slice(&frame)
        .map(Some)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::{Level, Line, Log, Outcome, Submitted, Trap};

    fn report() -> Report {
        Report {
            outcome: Outcome::Returned(Bytes::from_static(b"[1]")),
            usage: Usage::default(),
            log: Log::default(),
            progress: Vec::new(),
            submitted: Submitted::default(),
        }
    }

    fn most() -> Most {
        Most::of(&Limits::default())
    }

    fn done(report: &Report) -> FromCell {
        FromCell::Done {
            run: 7,
            end: Ok(Box::new(report.clone())),
        }
    }

    async fn framed(message: &FromCell) -> Vec<u8> {
        let mut pipe = Vec::new();
        write(&mut pipe, message).await.unwrap();
        pipe
    }

    async fn refused(mut frame: &[u8]) -> String {
        let read = read::<FromCell>(&mut frame, most).await;
        read.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let report = report();
        let pipe = framed(&done(&report)).await;
        let mut pipe = pipe.as_slice();
        let told = read(&mut pipe, most).await.unwrap().unwrap();
        let FromCell::Done {
            run: 7,
            end: Ok(told),
        } = told
        else {
            panic!("{told:?}")
        };
        assert_eq!(*told, report);
        let end = read::<FromCell>(&mut pipe, most).await;
        assert!(end.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_cut_off_or_nonsense_is_an_error() {
        for (frame, words) in [
            (&b"\xff\xff\xff\xff"[..], "a frame of 4294967295 bytes"),
            (b"\x08\0\0\0abc", ""),
            (b"\x03\0\0\0\xc1\xc1\xc1", ""),
        ] {
            let wrong = refused(frame).await;
            assert!(wrong.contains(words), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_frame_of_millions_of_small_things_is_refused_before_it_is_decoded() {
        let full = || {
            let mut report = report();
            report.log.lines = vec![Line {
                level: Level::Info,
                message: String::new(),
                fields: vec![(String::new(), String::new()); 100_000],
                by_host: false,
            }];
            report
        };
        let mut traps = report();
        traps.outcome = Outcome::Trapped(Trap {
            code: String::new(),
            message: String::new(),
            panicked: false,
            frames: vec![String::new(); 1_000_000],
        });
        let mut sent = report();
        sent.submitted.ids = vec![String::new(); 1_000_000];
        let keys = Ask::Get {
            keys: vec![String::new(); 1_000_000],
        };
        for message in [
            done(&full()),
            done(&traps),
            done(&sent),
            FromCell::Ask { run: 0, ask: keys },
        ] {
            let wrong = refused(&framed(&message).await).await;
            assert!(wrong.contains("values"), "{wrong}");
        }
    }

    /// Bytes of this process that were in memory at once, at most.
    fn highest() -> usize {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<usize>().unwrap() << 10
    }

    #[tokio::test]
    async fn twenty_mebibytes_of_empty_texts_take_little_more_than_themselves() {
        const TEXTS: u32 = 20 << 20;
        let ask = Ask::Get { keys: Vec::new() };
        let mut frame = framed(&FromCell::Ask { run: 0, ask }).await;
        // In place of the empty list at its end.
        assert_eq!(frame.pop(), Some(0x90));
        frame.push(0xdd);
        frame.extend(TEXTS.to_be_bytes());
        frame.resize(frame.len() + TEXTS as usize, 0xa0);
        let bytes = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&bytes.to_le_bytes());
        let before = highest();
        let wrong = refused(&frame).await;
        assert!(wrong.contains("values"), "{wrong}");
        // Decoded it would be half a gigabyte, and as much again while the list grows.
        let grown = highest() - before;
        assert!(grown < 80 << 20, "{grown}");
    }

    /// What the count is for.
    #[tokio::test]
    async fn without_counting_a_frame_takes_twenty_times_its_bytes() {
        let keys = vec![String::new(); 100_000];
        let ask = Ask::Get { keys };
        let frame = framed(&FromCell::Ask { run: 0, ask }).await;
        let told: FromCell = rmp_serde::from_slice(&frame[4..]).unwrap();
        let FromCell::Ask {
            ask: Ask::Get { keys },
            ..
        } = told
        else {
            panic!("{told:?}")
        };
        let taken = keys.capacity() * size_of::<String>();
        assert!(taken > 20 * frame.len(), "{taken} of {}", frame.len());
    }

    /// What the limits allow in a report passes, whatever they are raised to.
    #[tokio::test]
    async fn the_largest_report_of_its_limits_is_read() {
        let limits = Limits {
            log_bytes: 12 << 20,
            log_lines: 20_000,
            ..Limits::default()
        };
        let mut report = report();
        // Escapes, which are six times as long as what they stand for.
        let half = "\\u{1b}".repeat(6 << 20);
        let line = |message: &str| Line {
            level: Level::Info,
            message: message.to_owned(),
            fields: Vec::new(),
            by_host: false,
        };
        report.log.lines = vec![line(&half), line(&half)];
        let none = (String::new(), String::new());
        let mut fields = line("");
        fields.fields = vec![none; 4];
        report.log.lines.extend(vec![fields; 19_998]);
        let frame = framed(&done(&report)).await;
        assert!(frame.len() > 72 << 20, "{}", frame.len());
        let told = read(&mut frame.as_slice(), || Most::of(&limits)).await;
        let FromCell::Done { end: Ok(told), .. } = told.unwrap().unwrap() else {
            panic!("it was done")
        };
        assert_eq!(told.log.lines.len(), 20_000);
    }
}
