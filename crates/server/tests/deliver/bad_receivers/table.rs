//! Every way to be a bad receiver, and what must come of an attempt there.

use super::Expected::{self, Gone, Later, Success};
use super::server::Ending::{self, Close, Cut, Flood, Hang, Reset, Trickle};

/// How the receiver speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Tcp,
    Deaf,
    Tls,
    /// TLS with a certificate that is wrong in this way.
    Certificate(Wrong),
    /// TLS that wants a certificate of the client.
    ClientCertificate,
    /// TLS that speaks these protocols alone.
    Protocols(&'static [&'static str]),
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Expired,
    NotYetValid,
    SelfSigned,
    OtherName,
    Stranger,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) speech: Speech,
    pub(crate) says: Vec<u8>,
    pub(crate) ending: Ending,
    /// The response's status, if one came.
    pub(crate) status: Option<u16>,
    /// The error's code, and words of its sentence; empty on success.
    pub(crate) error: (&'static str, &'static str),
    pub(crate) expected: Expected,
    /// Ends with the attempt's deadline.
    pub(crate) slow: bool,
}

fn case(name: &'static str, speech: Speech, says: impl Into<Vec<u8>>, ending: Ending) -> Case {
    Case {
        name,
        speech,
        says: says.into(),
        ending,
        status: None,
        error: ("", ""),
        expected: Later(80, 125),
        slow: false,
    }
}

/// HTTPS as far as the request; the rest is up to the case.
fn http(name: &'static str, says: impl Into<Vec<u8>>, ending: Ending) -> Case {
    case(name, Speech::Tls, says, ending)
}

impl Case {
    fn fails(self, code: &'static str, words: &'static str) -> Self {
        Self { error: (code, words), ..self }
    }

    fn times_out(self, words: &'static str) -> Self {
        Self { slow: true, ..self.fails("timeout", words) }
    }

    fn answers(self, status: u16) -> Self {
        Self { status: Some(status), ..self.fails("bad_status", "The destination answered ") }
    }

    /// The status line is all that counts.
    fn delivers(self, status: u16) -> Self {
        Self { status: Some(status), error: ("", ""), expected: Success, ..self }
    }

    fn then(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// The wait for more of the body ends with the attempt, whose outcome is clear.
    fn slowly(self) -> Self {
        Self { slow: true, ..self }
    }
}

/// A response with this head, its first line without `HTTP/1.1 `.
fn head(lines: &str) -> String {
    format!("HTTP/1.1 {}\r\n\r\n", lines.replace('\n', "\r\n"))
}

fn gzip_bomb() -> Vec<u8> {
    // Twenty megabytes of zeros, packed twice.
    const PACKED: &str = "1f8b0800000000000203edd8bd09c2400080d14ba2102c7404dd430856c1d2c6216c5cc1034b41acc405523b83b50388851b881bf8776b1cef55df0cdf785787a4ac9e97a2f8473c7cceaf7a1000000080ccc5fbb64a33204cbeb776b10400000072b71a0de7e905f4de9bc77ed677470072b32eafddb489c753f8016bc9471c16260000";
    [head("200 OK\ncontent-encoding: gzip\ncontent-length: 132").into_bytes(), hex_bytes(PACKED)].concat()
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(crate) fn all() -> Vec<Case> {
    [
        before_http(),
        certificates(),
        no_answer(),
        wrong_heads(),
        interim(),
        bodies(),
        statuses(),
        redirects(),
        waits(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn before_http() -> Vec<Case> {
    let garbage = |name, says: &[u8]| case(name, Speech::Tcp, says, Hang).fails("tls_failed", "");
    vec![
        case("never reads what it is sent", Speech::Deaf, "", Hang).times_out("TLS handshake"),
        case("hangs in the handshake", Speech::Tcp, "", Hang).times_out("TLS handshake"),
        case("hangs after half a record of the handshake", Speech::Tcp, b"\x16\x03\x03\x00\x7a\x02", Hang)
            .times_out("TLS handshake"),
        case("trickles its handshake", Speech::Tcp, b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", Trickle("\0"))
            .times_out("TLS handshake"),
        case("closes instead of a handshake", Speech::Tcp, "", Close).fails("tls_failed", "eof"),
        case("resets instead of a handshake", Speech::Tcp, "", Reset).fails("tls_failed", ""),
        garbage(
            "speaks plain HTTP on the port",
            b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port",
        ),
        garbage("speaks SSH on the port", b"SSH-2.0-OpenSSH_9.2\r\n"),
        garbage("greets as a mail server", b"220 mail.example ESMTP\r\n"),
        garbage("sends rubbish for a handshake", b"\x00\x01\x02\x03\xff\xfe\xfd\xfc"),
        garbage("refuses by a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"),
        garbage("claims a record longer than any", b"\x16\x03\x03\xff\xff"),
        case("floods the handshake", Speech::Tcp, "", Flood("\u{16}\u{3}\u{3}")).fails("tls_failed", ""),
        case("speaks HTTP/2 alone", Speech::Protocols(&["h2"]), "", Hang).fails("tls_failed", ""),
        case(
            "prefers HTTP/2 and has HTTP/1.1",
            Speech::Protocols(&["h2", "http/1.1"]),
            head("204 No Content"),
            Hang,
        )
        .delivers(204),
        case("wants a certificate of the client", Speech::ClientCertificate, "", Hang)
            .fails("exchange_failed", ""),
    ]
}

fn certificates() -> Vec<Case> {
    let wrong = |name, wrong, words| {
        case(name, Speech::Certificate(wrong), head("204 No Content"), Hang).fails("tls_failed", words)
    };
    vec![
        wrong("has a certificate that has expired", Wrong::Expired, "expired"),
        wrong("has a certificate that is not yet valid", Wrong::NotYetValid, "not valid yet"),
        wrong("has a certificate of its own", Wrong::SelfSigned, "certificate"),
        wrong("has a certificate for another name", Wrong::OtherName, "not valid for name"),
        wrong("has a certificate of a stranger", Wrong::Stranger, "certificate"),
    ]
}

fn no_answer() -> Vec<Case> {
    let broken = |name, says: &str, ending| http(name, says, ending).fails("exchange_failed", "");
    vec![
        http("never answers", "", Hang).times_out("answer awaited"),
        broken("closes instead of an answer", "", Close),
        broken("cuts the connection instead of an answer", "", Cut),
        broken("resets instead of an answer", "", Reset),
        broken("closes in the middle of the head", "HTTP/1.1 200 OK\r\ncontent-", Close),
        broken(
            "cuts the connection in the middle of the head",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
            Cut,
        ),
        broken("resets in the middle of the head", "HTTP/1.1 200 OK\r\n", Reset),
        http("hangs in the middle of the status line", "HTTP/1.1 20", Hang).times_out("answer awaited"),
        http("hangs before the end of the head", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", Hang)
            .times_out("answer awaited"),
        http("trickles a header", "HTTP/1.1 200 OK\r\nx: ", Trickle("a")).times_out("answer awaited"),
        http("trickles headers", "HTTP/1.1 200 OK\r\n", Trickle("x: y\r\n")).times_out("answer awaited"),
    ]
}

fn wrong_heads() -> Vec<Case> {
    let broken = |name, says: &[u8], ending| http(name, says, ending).fails("exchange_failed", "");
    let many: String = (0..1_000).map(|n| format!("x-{n}: y\r\n")).collect();
    vec![
        broken("sends headers without end", b"HTTP/1.1 200 OK\r\n", Flood("x: y\r\n")),
        broken("sends one header without end", b"HTTP/1.1 200 OK\r\nx: ", Flood("a")),
        broken("sends a status line without end", b"HTTP/1.1 200 ", Flood("a")),
        broken("sends empty lines without end", b"", Flood("\r\n")),
        broken("sends a thousand headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes(), Hang),
        broken("sends binary rubbish", b"\x00\xff\xfe\x80\x81\r\n\r\n", Hang),
        broken("greets as SSH inside TLS", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Hang),
        broken("answers as HTTP/0.9", b"<html>thank you</html>\r\n\r\n", Close),
        broken("claims HTTP/2 in a status line", b"HTTP/2.0 200 OK\r\n\r\n", Hang),
        broken("sends HTTP/2 frames: settings, rapid resets, goaway", b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x0b", Flood("\0\0\u{4}\u{3}\0\0\0\0\u{1}\0\0\0\u{8}")),
        broken("has the status 000", b"HTTP/1.1 000 Nothing\r\n\r\n", Hang),
        broken("has the status 1000", b"HTTP/1.1 1000 Much\r\n\r\n", Hang),
        broken("has the status 20", b"HTTP/1.1 20 Little\r\n\r\n", Hang),
        broken("has the status 2xx", b"HTTP/1.1 2xx Any\r\n\r\n", Hang),
        broken("has a negative status", b"HTTP/1.1 -200 OK\r\n\r\n", Hang),
        broken("has a NUL in a header", b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n", Hang),
        broken("has a space before a colon", b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n", Hang),
        broken("has a header without a name", b"HTTP/1.1 200 OK\r\n: y\r\n\r\n", Hang),
        broken("folds a header", b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n", Hang),
        broken("has a negative length", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", Hang),
        broken("has a length that is no number", b"HTTP/1.1 200 OK\r\ncontent-length: few\r\n\r\n", Hang),
        broken("has a length past every number", b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n", Hang),
        broken("has two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", Hang),
        http("has bytes that are no text in a header", b"HTTP/1.1 200 OK\r\nx: caf\xe9\r\ncontent-length: 0\r\n\r\n", Hang).delivers(200),
        http("ends lines with a line feed alone", "HTTP/1.1 200 OK\ncontent-length: 0\n\n", Hang).delivers(200),
        http("has no reason phrase", "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", Hang).delivers(200),
    ]
}

fn interim() -> Vec<Case> {
    vec![
        http("sends interim responses without end", "", Flood("HTTP/1.1 102 Processing\r\n\r\n"))
            .fails("exchange_failed", "longer than 65536"),
        http("trickles interim responses", "", Trickle("HTTP/1.1 100 Continue\r\n\r\n"))
            .times_out("answer awaited"),
        http(
            "sends a few interim responses first",
            format!(
                "{}{}{}",
                head("100 Continue"),
                head("103 Early Hints\nlink: </x>"),
                head("200 OK\ncontent-length: 0")
            ),
            Hang,
        )
        .delivers(200),
        http(
            "switches protocols",
            head("101 Switching Protocols\nconnection: upgrade\nupgrade: websocket"),
            Hang,
        )
        .answers(101),
    ]
}

fn bodies() -> Vec<Case> {
    let ok = |name, says: &str, ending| http(name, head(says), ending).delivers(200);
    let after = |name, lines: &str, body: &str, ending| http(name, head(lines) + body, ending).delivers(200);
    const CHUNKED: &str = "200 OK\ntransfer-encoding: chunked";
    vec![
        ok("sends a body without end", "200 OK", Flood("abcdefgh")),
        ok(
            "sends a body without end and says how long",
            "200 OK\ncontent-length: 99999999999",
            Flood("abcdefgh"),
        ),
        ok("sends chunks without end", CHUNKED, Flood("8\r\nabcdefgh\r\n")),
        ok("sends chunks of a byte without end", CHUNKED, Flood("1\r\na\r\n")),
        after("sends a chunk extension without end", CHUNKED, "1;", Flood("x")),
        after("sends a chunk's size without end", CHUNKED, "", Flood("0")),
        after("sends trailers without end", CHUNKED, "0\r\n", Flood("x: y\r\n")),
        ok("trickles its body", "200 OK\ncontent-length: 100000", Trickle("a")).slowly(),
        ok("never sends its body", "200 OK\ncontent-length: 10", Hang).slowly(),
        after("sends half its body and hangs", "200 OK\ncontent-length: 10", "abcde", Hang).slowly(),
        after("says less than it sends", "200 OK\ncontent-length: 3", "abcdef", Hang),
        after("says more than it sends", "200 OK\ncontent-length: 10", "abc", Close),
        after("cuts its body", "200 OK\ncontent-length: 10", "abc", Cut),
        // No reset here: whether the head before it is still read is a race in the kernel.
        after("cuts a chunk", CHUNKED, "8\r\nabc", Cut),
        after("has a chunk size that is no number", CHUNKED, "zz\r\nabc\r\n0\r\n\r\n", Hang),
        after("has a negative chunk size", CHUNKED, "-1\r\nabc\r\n0\r\n\r\n", Hang),
        after("has a chunk size past every number", CHUNKED, "fffffffffffffffff\r\nabc", Hang),
        after("has a chunk longer than its size", CHUNKED, "2\r\nabcd\r\n0\r\n\r\n", Hang),
        after(
            "has a length beside chunks",
            "200 OK\ncontent-length: 3\ntransfer-encoding: chunked",
            "3\r\nabc\r\n0\r\n\r\n",
            Hang,
        ),
        after("ends its body by closing, as HTTP/1.0", "200 OK\nconnection: close", "abc", Close),
        http("answers as HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nabc", Close).delivers(200),
        http("has a body with 204", head("204 No Content\ncontent-length: 5") + "hello", Hang).delivers(204),
        http("sends a gzip bomb", gzip_bomb(), Hang).delivers(200),
        http(
            "sends a second answer behind the first",
            head("200 OK\ncontent-length: 0") + &head("500 No"),
            Hang,
        )
        .delivers(200),
        http("closes at once after its answer", head("200 OK\ncontent-length: 2") + "ok", Close)
            .delivers(200),
        http("resets after its answer", head("200 OK\ncontent-length: 0"), Hang).delivers(200),
        http(
            "has rubbish for a failure's body",
            [head("500 Oops\ncontent-length: 6").as_bytes(), b"\0\xff\x1b[0m"].concat(),
            Hang,
        )
        .answers(500),
    ]
}

fn statuses() -> Vec<Case> {
    let status = |name, line: &str, status| {
        http(name, head(&format!("{line}\ncontent-length: 0")), Hang).answers(status)
    };
    vec![
        status("answers 205, which is a success", "205 Reset Content", 205).delivers(205),
        status("answers 299, which is a success", "299 Fine", 299).delivers(299),
        status("answers 400", "400 Bad Request", 400),
        status("answers 401", "401 Unauthorized\nwww-authenticate: Basic", 401),
        status("answers 404", "404 Not Found", 404),
        status("answers 407", "407 Proxy Authentication Required", 407),
        status("answers 408 and closes", "408 Request Timeout\nconnection: close", 408),
        status("answers 418", "418 I'm a teapot", 418),
        status("answers 500", "500 Internal Server Error", 500),
        status("answers 599", "599 Whatever", 599),
        status("answers 600", "600 Whatever", 600),
        status("answers 999", "999 Request Denied", 999),
        status("is gone", "410 Gone", 410).then(Gone),
    ]
}

fn redirects() -> Vec<Case> {
    let to = |name, status: u16, location: &str| {
        http(name, head(&format!("{status} Elsewhere\nlocation: {location}\ncontent-length: 0")), Hang)
            .answers(status)
    };
    vec![
        to("redirects to plain HTTP", 301, "http://127.0.0.1/"),
        to("redirects to the metadata service", 302, "http://169.254.169.254/latest/meta-data/"),
        to("redirects to another host, method and body kept", 307, "https://{elsewhere}/"),
        to("redirects to another host for good", 308, "https://{elsewhere}/"),
        to("redirects to another host by GET", 303, "https://{elsewhere}/"),
        to("redirects to itself", 302, "/"),
        to("redirects to a file", 302, "file:///etc/passwd"),
        to("redirects to nothing that is a URL", 302, "::::"),
        http("redirects without saying where to", head("302 Found\ncontent-length: 0"), Hang).answers(302),
        http(
            "offers choices",
            head("300 Multiple Choices\nlocation: https://{elsewhere}/\ncontent-length: 0"),
            Hang,
        )
        .answers(300),
        http("says that nothing has changed", head("304 Not Modified"), Hang).answers(304),
        http(
            "asks to come back elsewhere by a header",
            head("200 OK\nrefresh: 0; url=https://{elsewhere}/\ncontent-length: 0"),
            Hang,
        )
        .delivers(200),
    ]
}

/// The schedule's wait is 80 to 120 seconds; a few more for the attempt itself.
fn waits() -> Vec<Case> {
    const DAY: u64 = 86_400;
    let asks = |name, status: u16, lines: &str, expected| {
        http(name, head(&format!("{status} Wait\n{lines}content-length: 0")), Hang)
            .answers(status)
            .then(expected)
    };
    vec![
        asks("has no time and says not for how long", 503, "", Later(80, 125)),
        asks("asks for an hour", 503, "retry-after: 3600\n", Later(3_600, 3_610)),
        asks("asks for an hour with 429", 429, "retry-after: 3600\n", Later(3_600, 3_610)),
        asks("asks for less than the schedule", 503, "retry-after: 1\n", Later(80, 125)),
        asks("asks for no time at all", 503, "retry-after: 0\n", Later(80, 125)),
        asks("asks for a year", 503, "retry-after: 31536000\n", Later(DAY, DAY + 10)),
        asks(
            "asks for longer than numbers go",
            429,
            "retry-after: 99999999999999999999999999\n",
            Later(DAY, DAY + 10),
        ),
        asks("asks for a negative time", 503, "retry-after: -3600\n", Later(80, 125)),
        asks("asks for a fraction", 503, "retry-after: 3600.5\n", Later(80, 125)),
        asks("asks for an hour in words", 503, "retry-after: an hour\n", Later(80, 125)),
        asks("asks for nothing", 503, "retry-after: \n", Later(80, 125)),
        asks(
            "asks until a date that is past",
            503,
            "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\n",
            Later(80, 125),
        ),
        asks(
            "asks until a date far away",
            503,
            "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\n",
            Later(DAY, DAY + 10),
        ),
        asks("asks until a date an hour away", 503, "retry-after: {in an hour}\n", Later(3_590, 3_610)),
        asks(
            "asks until a day that does not exist",
            503,
            "retry-after: Sun, 31 Feb 2999 08:49:37 GMT\n",
            Later(80, 125),
        ),
        asks("asks for two times", 503, "retry-after: 3600\nretry-after: 7200\n", Later(80, 125)),
        asks("asks for two times in one line", 503, "retry-after: 3600, 7200\n", Later(80, 125)),
        asks("asks with a status that may not", 500, "retry-after: 3600\n", Later(80, 125)),
        asks("asks with a redirect", 302, "retry-after: 3600\nlocation: /\n", Later(80, 125)),
        asks("asks although it is gone", 410, "retry-after: 3600\n", Gone),
        asks("asks although it has the event", 200, "retry-after: 3600\n", Success).delivers(200),
    ]
}
