//! Looks over the HTTP/1.1 parser's shoulder: counts the framing headers of each request as they were sent.
//!
//! The parser merges equal `Content-Length`s and drops one beside a `Transfer-Encoding`, as RFC 9112 allows, before anyone
//! else sees them. We refuse both, so they are counted on the way in. The parser alone decides where a message ends; where
//! this one loses the thread, further requests of the connection are refused: what is counted can only refuse, never let in.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a request named its framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FramingCount {
    pub(super) content_lengths: u32,
    pub(super) transfer_encodings: u32,
    /// How often is not known.
    pub(super) is_unclear: bool,
}

impl FramingCount {
    const UNCLEAR: Self = Self { content_lengths: 0, transfer_encodings: 0, is_unclear: true };
}

/// The counts of requests that are on their way to the service, in the order of the connection.
#[derive(Default)]
pub(super) struct Heads(Mutex<VecDeque<FramingCount>>);

impl Heads {
    /// The count of the next request, whose head has been read. One that was not found in it is not clear.
    pub(super) fn next(&self) -> FramingCount {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.pop_front().unwrap_or(FramingCount::UNCLEAR)
    }

    fn push(&self, count: FramingCount) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(count);
    }
}

/// A stream whose incoming requests are counted; HTTP/2 goes through as it is, since its frames cannot be misread.
pub(super) struct Watched<S> {
    stream: S,
    watch: Option<(Scanner, Arc<Heads>)>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, heads: Option<Arc<Heads>>) -> Self {
        Self { stream, watch: heads.map(|heads| (Scanner::default(), heads)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some((scanner, heads)) = &mut self.watch {
            scanner.feed(&buf.filled()[before..], &mut |count| heads.push(count));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where in the stream of requests we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before a request line.
    #[default]
    Between,
    /// Among header lines.
    Head,
    /// So many bytes before the end of a sized body.
    Sized(u64),
    ChunkSize,
    /// So many bytes before the next chunk's size.
    Chunk(u64),
    Trailers,
    /// Nothing further is counted.
    Lost,
}

/// Finds the heads in a stream of requests.
#[derive(Default)]
struct Scanner {
    place: Place,
    /// The beginning of the present line, without its end.
    line: Vec<u8>,
    count: FramingCount,
    content_length: u64,
}

impl Scanner {
    /// Enough of a line for a framing header's name and value.
    const LINE_BYTES_KEPT: usize = 64;

    fn feed(&mut self, mut bytes: &[u8], found: &mut impl FnMut(FramingCount)) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Lost => return,
                Place::Sized(left) => self.skip(bytes, left, Place::Sized, Place::Between),
                Place::Chunk(left) => self.skip(bytes, left, Place::Chunk, Place::ChunkSize),
                Place::Between | Place::Head | Place::ChunkSize | Place::Trailers => {
                    self.take_line(bytes, found)
                }
            };
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, on: fn(u64) -> Place, done: Place) -> &'a [u8] {
        let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - skipped as u64;
        self.place = if left == 0 { done } else { on(left) };
        &bytes[skipped..]
    }

    fn take_line<'a>(&mut self, bytes: &'a [u8], found: &mut impl FnMut(FramingCount)) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        let room = Self::LINE_BYTES_KEPT - self.line.len();
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
        let Some(end) = end else { return &[] };
        let mut line = std::mem::take(&mut self.line);
        self.end_line(line.strip_suffix(b"\r").unwrap_or(&line), found);
        line.clear();
        self.line = line;
        &bytes[end + 1..]
    }

    fn end_line(&mut self, line: &[u8], found: &mut impl FnMut(FramingCount)) {
        match self.place {
            // Empty lines before a request are skipped, as the parser does.
            Place::Between if !line.is_empty() => self.place = Place::Head,
            Place::Head if line.is_empty() => self.end_head(found),
            Place::Head => self.header(line),
            Place::ChunkSize => {
                let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
                self.place = match number(size, 16).filter(|_| !is_cut(size)) {
                    Some(0) => Place::Trailers,
                    Some(size) => Place::Chunk(size.saturating_add(2)),
                    None => Place::Lost,
                };
            }
            Place::Trailers if line.is_empty() => self.place = Place::Between,
            _ => {}
        }
    }

    fn header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            self.count.content_lengths += 1;
            match number(value, 10).filter(|_| !is_cut(line)) {
                Some(length) => self.content_length = length,
                None => self.count.is_unclear = true,
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.count.transfer_encodings += 1;
        }
    }

    fn end_head(&mut self, found: &mut impl FnMut(FramingCount)) {
        let count = std::mem::take(&mut self.count);
        let content_length = std::mem::take(&mut self.content_length);
        found(count);
        self.place = match (count.transfer_encodings, content_length) {
            _ if count.is_unclear => Place::Lost,
            (0, 0) => Place::Between,
            (0, length) => Place::Sized(length),
            _ => Place::ChunkSize,
        };
    }
}

/// Whether more may have followed than was kept.
fn is_cut(text: &[u8]) -> bool {
    text.len() >= Scanner::LINE_BYTES_KEPT
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text.trim_ascii()).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::{FramingCount, Scanner};

    /// Counts as `content lengths` and `transfer encodings` of each head, whole and byte by byte.
    #[track_caller]
    fn check(stream: &str, expected: &[(u32, u32)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(content_lengths, transfer_encodings)| FramingCount {
                content_lengths,
                transfer_encodings,
                is_unclear: false,
            })
            .collect();
        for step in [stream.len(), 1, 7] {
            let (mut scanner, mut heads) = (Scanner::default(), Vec::new());
            for piece in stream.as_bytes().chunks(step) {
                scanner.feed(piece, &mut |count| heads.push(count));
            }
            assert_eq!(heads, expected, "{stream:?} in steps of {step}");
        }
    }

    #[test]
    fn counts_framing_headers_and_nothing_else() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[(0, 0)]);
        check("\r\n\r\nPOST / HTTP/1.1\r\ncontent-LENGTH: 1\r\nContent-Length: 1\r\n\r\nx", &[(2, 0)]);
        check("POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3\n\n0\n\n", &[(1, 1)]);
        check("GET / HTTP/1.1\r\nX: Content-Length: 3\r\nContent-Lengths: 3\r\n\r\n", &[(0, 0)]);
        check("GET / HTTP/1.1\r\nHost: a\r\n", &[]);
    }

    #[test]
    fn a_body_is_not_taken_for_a_head() {
        let trap = "x\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
        let next = "GET / HTTP/1.1\r\n\r\n";
        check(
            &format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{trap}{next}", trap.len()),
            &[(1, 0), (0, 0)],
        );
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks = format!("{:X};ext=1\r\n{trap}\r\n1\r\nx\r\n0\r\nTrailer: 1\r\n\r\n", trap.len());
        check(&format!("{head}{chunks}{next}{next}"), &[(0, 1), (0, 0), (0, 0)]);
    }

    #[test]
    fn a_length_that_it_cannot_read_is_unclear_and_the_last_thing_it_counts() {
        let long = format!("{}5", " ".repeat(60));
        let zeros = format!("{}5", "0".repeat(60));
        for length in ["x", "", "-1", &long, &zeros] {
            let stream = format!("POST / HTTP/1.1\r\nContent-Length:{length}\r\n\r\nGET / HTTP/1.1\r\n\r\n");
            let (mut scanner, mut heads) = (Scanner::default(), Vec::new());
            scanner.feed(stream.as_bytes(), &mut |count| heads.push(count));
            let unclear = FramingCount { content_lengths: 1, is_unclear: true, ..FramingCount::default() };
            assert_eq!(heads, [unclear], "{length:?}");
        }
        assert!(super::Heads::default().next().is_unclear, "what was not found is refused");
    }

    #[test]
    fn falls_silent_where_it_loses_the_thread() {
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\n\r\n", &[(0, 1)]);
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{head}ffffffffffffffff\r\nx"), &[(0, 1)]);
        check(&format!("{head}{}5\r\nGET / HTTP/1.1\r\n\r\n", "0".repeat(64)), &[(0, 1)]);
    }
}
