//! HTTP/2 peers that mean harm, frame by frame.

use agentflow_server::config::Limits;
use tokio::io::AsyncWriteExt;

use super::support::{Rig, limits, rest_of};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: u8 = 11;

/// `GET https://localhost/`, by the static table.
const GET: &[u8] = b"\x82\x87\x84\x41\x09localhost";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn preface() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, b"")].concat()
}

/// Kind and payload of every frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _flags, _, _, _, _, rest @ ..] = bytes {
        let length = (u32::from_be_bytes([0, *a, *b, *c]) as usize).min(rest.len());
        frames.push((*kind, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    frames
}

/// Sends this after the preface and gives the frames that come back before the connection ends.
async fn answer_to(limits: Limits, attack: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let rig = Rig::start(limits).await;
    let mut stream = rig.connect_raw_http2().await;
    stream.write_all(&[&preface(), attack].concat()).await.unwrap();
    stream.flush().await.unwrap();
    frames(&rest_of(&mut stream).await)
}

#[tokio::test]
async fn a_flood_of_reset_streams_ends_the_connection() {
    let mut flood = Vec::new();
    for stream in (1..1_000).step_by(2) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    let answer = answer_to(limits(), &flood).await;
    let calm =
        answer.iter().any(|(kind, payload)| *kind == GOAWAY && payload.get(7) == Some(&ENHANCE_YOUR_CALM));
    assert!(calm, "{answer:?}");
}

#[tokio::test]
async fn headers_without_end_do_not_grow_without_end() {
    let mut flood = frame(HEADERS, END_STREAM, 1, GET);
    for _ in 0..1_000 {
        // A literal header, not indexed: `x: ` and a thousand bytes.
        let header = [&b"\x00\x01x\x7f\xe9\x06"[..], &[b'x'; 1_000]].concat();
        flood.extend(frame(CONTINUATION, 0, 1, &header));
    }
    let answer = answer_to(limits(), &flood).await;
    assert!(answer.iter().any(|(kind, _)| *kind == GOAWAY), "{answer:?}");
}

#[tokio::test]
async fn headers_that_stall_are_closed() {
    let limits = Limits { header_timeout_ms: 50, ..limits() };
    let answer = answer_to(limits, &frame(HEADERS, END_STREAM, 1, GET)).await;
    assert!(answer.iter().all(|(kind, _)| *kind != HEADERS), "{answer:?}");
}

#[tokio::test]
async fn a_connection_that_never_says_the_preface_is_closed() {
    let rig = Rig::start(Limits { header_timeout_ms: 50, ..limits() }).await;
    let mut stream = rig.connect_raw_http2().await;
    rest_of(&mut stream).await;
}
