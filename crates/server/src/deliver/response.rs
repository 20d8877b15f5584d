//! A response: its head at once, its body as far as it is worth, and what of both is kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;
use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use super::pool::{Connection, Peer, Pool};

/// Bytes of a response's body that are kept.
const HEAD_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a response's headers that are kept of a failure, for whoever looks for its cause.
const FAILURE_HEADERS_MAX: usize = 4 * 1024;

/// Bytes of a response's headers that are kept of a success. Nearly every attempt is one.
const SUCCESS_HEADERS_MAX: usize = 1024;

/// A response whose status line came in time.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Bytes>,
    /// A line `name: value` each; a last line `…` where some are left out.
    pub(crate) headers: String,
    pub(crate) body: ReplyBody,
}

impl Reply {
    /// `until`: the end of the attempt.
    pub(super) fn new(
        response: Response<Incoming>,
        until: Instant,
        keep: (Arc<Pool>, Arc<Peer>, Connection),
    ) -> Self {
        let (head, body) = response.into_parts();
        let limit = if head.status.is_success() { SUCCESS_HEADERS_MAX } else { FAILURE_HEADERS_MAX };
        // Of several that disagree, none can be believed.
        let mut asked = head.headers.get_all(RETRY_AFTER).iter();
        let retry_after = match (asked.next(), asked.next()) {
            (Some(only), None) => Some(Bytes::copy_from_slice(only.as_bytes())),
            _ => None,
        };
        Self {
            status: head.status.as_u16(),
            retry_after,
            headers: kept(&head.headers, limit),
            body: ReplyBody {
                body,
                head: Vec::new(),
                until,
                // After 101 the connection speaks something else.
                keep: (head.status.as_u16() >= 200).then_some(keep),
            },
        }
    }
}

/// The headers as they are kept, without what a receiver may not want to be read by others.
fn kept(headers: &HeaderMap, bytes_max: usize) -> String {
    let mut text = String::with_capacity(256);
    for (name, value) in headers {
        let value =
            if is_secret(name) { "[left out]".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        if text.len() + name.as_str().len() + value.len() + 3 > bytes_max {
            text.push_str("…\n");
            break;
        }
        for part in [name.as_str(), ": ", &value, "\n"] {
            text.push_str(part);
        }
    }
    text
}

fn is_secret(name: &HeaderName) -> bool {
    ["cookie", "authorization", "token", "secret", "password", "api-key", "apikey"]
        .iter()
        .any(|word| name.as_str().contains(word))
}

/// A response's body, read as far as it is worth; then the connection is kept for the next request.
pub(crate) struct ReplyBody {
    body: Incoming,
    head: Vec<u8>,
    until: Instant,
    keep: Option<(Arc<Pool>, Arc<Peer>, Connection)>,
}

impl ReplyBody {
    /// Reads to the end, to what a response may have, or for so long, and never past the attempt's deadline; false where
    /// time ran out. What was read stays. What is at hand costs no timer.
    pub(crate) async fn read_within(&mut self, limit: Duration) -> bool {
        if self.read().now_or_never().is_some() {
            return true;
        }
        let until = self.until.min(Instant::now() + limit);
        timeout_at(until, self.read()).await.is_ok()
    }

    async fn read(&mut self) {
        while !self.body.is_end_stream() {
            let frame = match self.body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    self.keep = None;
                    return;
                }
                None => break,
            };
            let Ok(chunk) = frame.into_data() else { continue };
            let wanted = HEAD_BYTES_MAX.saturating_sub(self.head.len()).min(chunk.len());
            self.head.extend_from_slice(&chunk[..wanted]);
        }
        if let Some((pool, peer, connection)) = self.keep.take() {
            pool.put(&peer, connection);
        }
    }

    /// The first bytes that were read, lossily as text, of no more bytes than were kept; absent where none were.
    pub(crate) fn into_head(self) -> Option<String> {
        (!self.head.is_empty()).then(|| text(&self.head))
    }
}

/// Bytes as text. A character that the limit has cut in two is left out; what is no text at all becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let is_cut = |invalid: &[u8]| {
            std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
                && bytes.len() == HEAD_BYTES_MAX
                && bytes.ends_with(invalid)
        };
        let mark = if chunk.invalid().is_empty() || is_cut(chunk.invalid()) { "" } else { "\u{fffd}" };
        for part in [chunk.valid(), mark] {
            let mut end = part.len().min(HEAD_BYTES_MAX - text.len());
            while !part.is_char_boundary(end) {
                end -= 1;
            }
            text.push_str(&part[..end]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{HEAD_BYTES_MAX, kept, text};

    fn headers(of: &[(&str, &[u8])]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn headers_are_kept_as_lines_without_what_may_be_secret() {
        let sent = headers(&[
            ("content-type", b"text/html"),
            ("set-cookie", b"session=1"),
            ("x-auth-token", b"t"),
            ("x-odd", b"caf\xe9\t!"),
        ]);
        assert_eq!(
            kept(&sent, 1_024),
            "content-type: text/html\nset-cookie: [left out]\nx-auth-token: [left out]\nx-odd: caf\u{fffd}\t!\n"
        );
    }

    #[test]
    fn headers_past_the_limit_are_left_out_and_that_is_told() {
        let sent = headers(&[("a", b"1"), ("b", &[b'x'; 100]), ("c", b"3")]);
        assert_eq!(kept(&sent, 20), "a: 1\n…\n");
        assert_eq!(kept(&headers(&[("a", b"1")]), 5), "a: 1\n");
        assert_eq!(kept(&headers(&[("a", b"1")]), 4), "…\n");
    }

    #[test]
    fn a_body_becomes_text_of_no_more_bytes() {
        assert_eq!(text(b"thanks\0\x1b[31m"), "thanks\0\u{1b}[31m");
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
        // Cut at its own end, by the receiver: no text. Cut by the limit: left out.
        assert_eq!(text("é".as_bytes().split_at(1).0), "\u{fffd}");
        let cut = format!("{}é", "a".repeat(HEAD_BYTES_MAX - 1)).into_bytes();
        assert_eq!(text(&cut[..HEAD_BYTES_MAX]), "a".repeat(HEAD_BYTES_MAX - 1));
        assert_eq!(text(&[0xff; HEAD_BYTES_MAX]).len(), HEAD_BYTES_MAX / 3 * 3);
    }

    proptest! {
        #[test]
        fn no_body_makes_more_text_than_is_kept(body in prop::collection::vec(any::<u8>(), 0..=HEAD_BYTES_MAX)) {
            prop_assert!(text(&body).len() <= HEAD_BYTES_MAX);
        }
    }
}
