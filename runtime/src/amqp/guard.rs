//! The stream between the server and the client of AMQP: frames that carry the
//! properties of a message are made harmless on their way in.

use super::tables::tame;
use async_rs::Tokio;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use futures::Stream;
use futures::io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Type, channel and length of a frame (AMQP 0-9-1, section 4.2.3).
const HEAD: usize = 7;
/// The type of the frames that carry properties.
const CONTENT_HEADER: u8 = 2;
/// The types of all frames: method, header, body, heartbeat. What begins otherwise is
/// the server's word that it speaks another version.
const TYPES: [u8; 4] = [1, 2, 3, 8];
/// Largest frame of properties (1 MiB): RabbitMQ's own limit is 128 KiB.
const LARGEST: usize = 1 << 20;
/// Bytes that are read at once (64 KiB).
const PIECE: usize = 64 << 10;

/// What both kinds of stream, plain and TLS, are.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A stream whose properties are tame.
pub(super) struct Guarded {
    stream: Box<dyn Duplex>,
    piece: Vec<u8>,
    frames: Frames,
    /// What was let through and not read yet, from `read` on.
    passed: Vec<u8>,
    read: usize,
}

impl Guarded {
    pub(super) fn new(stream: impl Duplex + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            piece: vec![0; PIECE],
            frames: Frames::default(),
            passed: Vec::new(),
            read: 0,
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            let passed = this.passed.get(this.read..).unwrap_or_default();
            if !passed.is_empty() || buffer.is_empty() {
                let length = passed.len().min(buffer.len());
                for (to, from) in buffer.iter_mut().zip(passed) {
                    *to = *from;
                }
                this.read += length;
                return Poll::Ready(Ok(length));
            }
            this.passed.clear();
            this.read = 0;
            let length = ready!(Pin::new(&mut this.stream).poll_read(context, &mut this.piece))?;
            if length == 0 {
                return Poll::Ready(Ok(0));
            }
            let piece = this.piece.get(..length).unwrap_or_default();
            this.frames.pass(piece, &mut this.passed)?;
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(context)
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

/// Divides what arrives into frames.
#[derive(Debug, Default)]
struct Frames {
    /// The head of the next frame, or a whole frame of properties, as far as it is there.
    held: Vec<u8>,
    /// How much of a frame of another kind is still to come.
    passing: usize,
    is_other_protocol: bool,
}

impl Frames {
    /// Lets everything through but frames of properties, which wait until they are whole.
    fn pass(&mut self, mut bytes: &[u8], passed: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.is_other_protocol {
                passed.extend_from_slice(bytes);
                return Ok(());
            }
            if self.passing > 0 {
                let (now, later) = bytes.split_at(self.passing.min(bytes.len()));
                passed.extend_from_slice(now);
                self.passing -= now.len();
                bytes = later;
                continue;
            }
            let wanted = self.wanted()?;
            let (now, later) = bytes.split_at((wanted - self.held.len()).min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == wanted {
                self.whole(passed)?;
            }
        }
        Ok(())
    }

    /// Tells how long that is which is held until it is whole.
    fn wanted(&self) -> io::Result<usize> {
        match self.held.first() {
            Some(&CONTENT_HEADER) if self.held.len() >= HEAD => {
                let length = self.length();
                if length > LARGEST {
                    return Err(too_large(length));
                }
                Ok(HEAD + length + 1)
            }
            _ => Ok(HEAD),
        }
    }

    /// The length of the payload of the frame whose head is held.
    fn length(&self) -> usize {
        let four = self.held.get(3..HEAD).and_then(|four| four.try_into().ok());
        four.map(u32::from_be_bytes)
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(usize::MAX)
    }

    /// A head is there, or a whole frame of properties.
    fn whole(&mut self, passed: &mut Vec<u8>) -> io::Result<()> {
        let kind = self.held.first().copied().unwrap_or_default();
        if kind == CONTENT_HEADER && self.held.len() == HEAD {
            return Ok(());
        }
        if kind == CONTENT_HEADER {
            let mut payload = self.held.split_off(HEAD);
            let end = payload.pop();
            tame(&mut payload)?;
            let length = u32::try_from(payload.len()).map_err(|_| too_large(payload.len()))?;
            passed.extend_from_slice(self.held.get(..3).unwrap_or_default());
            passed.extend_from_slice(&length.to_be_bytes());
            passed.append(&mut payload);
            passed.extend(end);
        } else {
            self.is_other_protocol = !TYPES.contains(&kind);
            // The frame's end is one byte more.
            self.passing = self.length().saturating_add(1);
            passed.extend_from_slice(&self.held);
        }
        self.held.clear();
        Ok(())
    }
}

fn too_large(length: usize) -> io::Error {
    let words = format!("a frame of properties has {length} bytes; at most {LARGEST} are read");
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// Tokio, whose streams are guarded.
pub(super) type Kit = RuntimeParts<Tokio, GuardedTokio>;

/// Tokio's clock, and streams that are guarded.
#[derive(Debug, Clone)]
pub(super) struct GuardedTokio(Tokio);

impl GuardedTokio {
    /// Takes part in the runtime it is called in.
    pub(super) fn kit() -> Kit {
        RuntimeParts::new(Tokio::current(), Self(Tokio::current()))
    }
}

impl Reactor for GuardedTokio {
    type TcpStream = Guarded;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        // The client opens its streams itself.
        Err::<Guarded, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.0.sleep(span)
    }

    fn interval(&self, span: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(span)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Guarded>> + Send + 'static {
        let connected = self.0.tcp_connect_addr(address);
        async { Ok(Guarded::new(connected.await?)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 7][..], &length, payload, &[0xce]].concat()
    }

    /// A content header with a table.
    fn properties(table: &[u8]) -> Vec<u8> {
        let length = u32::try_from(table.len()).unwrap().to_be_bytes();
        [
            &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0][..],
            &length,
            table,
        ]
        .concat()
    }

    fn through(bytes: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let (mut frames, mut passed) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            frames.pass(piece, &mut passed)?;
        }
        Ok(passed)
    }

    #[test]
    fn frames_go_through_however_they_are_cut() {
        let sent = [
            frame(1, b"method"),
            frame(2, &properties(b"\x01kV")),
            frame(3, &[7; 500]),
            frame(8, b""),
        ]
        .concat();
        for piece in [1, 2, 7, 8, 100, 10_000] {
            assert_eq!(through(&sent, piece).unwrap(), sent, "{piece}");
        }
    }

    #[test]
    fn headers_that_nobody_should_read_are_replaced_and_the_rest_goes_on() {
        let raw = super::super::tables::RAW;
        let kept = [&[22][..], raw.as_bytes(), b"x\0\0\0\x02\x01\xff"].concat();
        let sent = [frame(2, &properties(b"\x01\xff")), frame(3, b"body")].concat();
        let expected = [frame(2, &properties(&kept)), frame(3, b"body")].concat();
        for piece in [1, 9, 1_000] {
            assert_eq!(through(&sent, piece).unwrap(), expected);
        }
    }

    #[test]
    fn a_frame_of_properties_over_the_limit_ends_the_connection() {
        let mut sent = frame(2, b"");
        sent[3..7].copy_from_slice(&u32::try_from(LARGEST + 1).unwrap().to_be_bytes());
        assert!(
            through(&sent, 100)
                .unwrap_err()
                .to_string()
                .contains("at most 1048576")
        );
        sent[3..7].copy_from_slice(&u32::try_from(LARGEST).unwrap().to_be_bytes());
        assert!(through(&sent, 100).is_ok());
    }

    #[test]
    fn any_stream_comes_out_the_same_however_it_is_cut() {
        let streams = [
            [
                frame(1, b"method"),
                frame(2, &properties(b"\x01kV")),
                frame(3, &[7; 50]),
                frame(8, b""),
            ]
            .concat(),
            frame(2, &properties(b"\x01tS\0\0\0\x02\xff\xff\x01lA\0\0\0\x01V")),
            frame(2, &properties(b"\x01fF\0\0\0\x0a\x01aI\0\0\0\x07\x01bV")),
        ];
        let words: [&[u8]; 8] = [
            b"\x02\0\x01",
            b"\xce",
            b"F\0\0\0\x05",
            b"A\0\0\0\x05",
            b"\x01kV",
            b"\xff\xff\xff\xff",
            b"\0\0\0\0",
            b"\xf8\x00",
        ];
        let corpus = support::Corpus::new(streams.to_vec(), &words);
        let mut passed = 0;
        for script in support::scripts(5_000) {
            let stream = corpus.changed(&script);
            // Errors are told apart by nothing: the connection ends with any.
            let whole = through(&stream, stream.len().max(1)).ok();
            let pieces = through(&stream, 5).ok();
            assert_eq!(whole, pieces, "{stream:?}");
            passed += usize::from(whole.is_some());
            // Headers that are replaced by a word for them have that much more.
            let room = stream.len() + 64 * stream.len().div_ceil(HEAD);
            assert!(whole.is_none_or(|whole| whole.len() <= room));
        }
        assert!((50..4_950).contains(&passed), "{passed}");
    }

    #[test]
    fn another_protocol_is_for_the_client_to_refuse() {
        let sent = [&b"AMQP\0\x01\0\0"[..], &[9; 100]].concat();
        assert_eq!(through(&sent, 3).unwrap(), sent);
    }
}
