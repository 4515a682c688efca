//! What a worker and its cells say to each other: frames on the cell's standard input and
//! output, each its length in four bytes and a MessagePack document.
//!
//! What comes from a cell is hostile: its guests may have broken out of their sandbox.

use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, EgressSettings, Grants, Interruption, KeepError, Limits, Progress, Report,
    Signature, SubmitError, Usage, When, Wish,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Most bytes of one frame to a cell (512 MiB): native code has at most half of that.
pub(super) const TO_CELL: u32 = 512 << 20;
/// Most bytes of one frame from a cell (64 MiB): a result, a log and what was submitted
/// are together less, whatever the limits are raised to.
pub(super) const FROM_CELL: u32 = 64 << 20;

/// What a cell is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToCell {
    /// How its guests send by HTTP; said first. What they may reach comes with each run.
    Egress(EgressSettings),
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
    /// A guest that was to end for nobody has ended, and what it took until then.
    Ended { run: u64, usage: Usage },
    /// An attempt is over.
    Done {
        run: u64,
        end: Result<Box<Report>, Trouble>,
    },
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
    Set { pairs: Vec<(String, Vec<u8>)> },
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
    Values(Vec<Option<Vec<u8>>>),
    Done,
    Keys(Vec<String>),
    Sum(u64),
}

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

/// Reads a frame of at most so many bytes; `None` at the end.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    most: u32,
) -> io::Result<Option<T>> {
    let mut bytes = [0; 4];
    match from.read_exact(&mut bytes).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let bytes = u32::from_le_bytes(bytes);
    if bytes > most {
        return Err(io::Error::other(format!(
            "a frame of {bytes} bytes; at most {most} are read"
        )));
    }
    // No room is made for bytes that do not come.
    let mut frame = Vec::new();
    from.take(u64::from(bytes)).read_to_end(&mut frame).await?;
    rmp_serde::from_slice(&frame)
        .map(Some)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::{Log, Outcome, Submitted};

    #[tokio::test]
    async fn what_is_written_is_read() {
        let report = Report {
            outcome: Outcome::Returned(Bytes::from_static(b"[1]")),
            usage: Usage::default(),
            log: Log::default(),
            progress: Vec::new(),
            submitted: Submitted::default(),
        };
        let done = FromCell::Done {
            run: 7,
            end: Ok(Box::new(report.clone())),
        };
        let mut pipe = Vec::new();
        write(&mut pipe, &done).await.unwrap();
        let mut pipe = pipe.as_slice();
        let read = read(&mut pipe, FROM_CELL).await.unwrap().unwrap();
        let FromCell::Done {
            run: 7,
            end: Ok(read),
        } = read
        else {
            panic!("{read:?}")
        };
        assert_eq!(*read, report);
        assert!(
            super::read::<FromCell>(&mut pipe, FROM_CELL)
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_cut_off_or_nonsense_is_an_error() {
        for (frame, words) in [
            (&b"\xff\xff\xff\xff"[..], "a frame of 4294967295 bytes"),
            (b"\x08\0\0\0abc", ""),
            (b"\x03\0\0\0\xc1\xc1\xc1", ""),
        ] {
            let error = read::<FromCell>(&mut &frame[..], FROM_CELL)
                .await
                .unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
