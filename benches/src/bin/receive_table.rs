//! `cargo run --release -p agentflow-benches --bin receive-table`: what receiving an event costs above what it must.
//!
//! Whole axum routers take the same request, in turns: one that reads the body and no more, one with the extractor, one
//! behind the layer. The bare verify and the bare parse of the same bytes stand beside them, so that what the crate
//! itself adds can be told from what the event costs. No socket is in it: that is the same for all.

use std::hint::black_box;
use std::time::Instant;

use agentflow_events::Event;
use agentflow_receiver::{Received, Receiver, VerifyLayer};
use agentflow_signature::{OutboundSecret, Signer, Timestamp, Verifier};
use axum::body::Body;
use axum::middleware::{Next, from_fn};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use http::Request;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

const EVENT: &[u8] = include_bytes!("../../../crates/events/tests/golden/lead_qualified.json");

const ROUNDS: usize = 3000;

const REPEATS: u32 = 16;

/// The most that extractor and layer may add, microseconds.
const TARGET: f64 = 2.0;

type Row = (&'static str, Box<dyn FnMut()>);

fn main() {
    let secret =
        OutboundSecret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD8Zm5vXoKzQw=").expect("well formed");
    let now = Timestamp::from(std::time::SystemTime::now());
    let signed = Signer::new(&secret).sign(EVENT, now);
    let mut request =
        Request::post("/agentflow").header("content-length", EVENT.len()).body(()).expect("well formed");
    signed.insert_into(request.headers_mut());
    let receiver = Receiver::new(secret.clone());
    let verifier = Verifier::new(secret);

    let plain = Router::new()
        .route("/agentflow", post(|body: Bytes| async move { black_box(body).len().to_string() }));
    // What any layer costs whose future is boxed, by axum's own way of layering.
    let behind =
        plain.clone().layer(from_fn(|request: axum::extract::Request, next: Next| next.run(request)));
    let extractor = Router::new()
        .route(
            "/agentflow",
            post(|received: Received| async move { black_box(received).body().len().to_string() }),
        )
        .with_state(receiver.clone());
    let layer = Router::new()
        .route(
            "/agentflow",
            post(|Extension(received): Extension<Received>| async move { received.body().len().to_string() }),
        )
        .layer(VerifyLayer::new(receiver));

    let headers = request.headers().clone();
    let mut rows: Vec<Row> = vec![
        ("plain axum, the same body", through(plain, &request)),
        (
            "bare verify",
            Box::new(move || {
                let now = Timestamp::from(std::time::SystemTime::now());
                black_box(verifier.verify(&headers, black_box(EVENT), now).is_ok());
            }),
        ),
        (
            "bare parse of the event",
            Box::new(|| {
                black_box(Event::parse(black_box(EVENT)).is_ok());
            }),
        ),
        ("plain axum behind a layer that does nothing", through(behind, &request)),
        ("axum extractor", through(extractor, &request)),
        ("tower layer in front of an axum handler", through(layer, &request)),
    ];
    let micros = medians(&mut rows);
    println!("microseconds of one event of {} bytes, medians of {ROUNDS} turns", EVENT.len());
    println!("| way | us | above its floor | and above the bare parse |\n| --- | --- | --- | --- |");
    for ((name, _), micros) in rows.iter().zip(&micros).take(4) {
        println!("| {name} | {micros:.2} | | |");
    }
    // The floor: plain axum, for the layer behind one that does nothing, and the bare verify.
    for (row, plain) in [(4, 0), (5, 3)] {
        let name = rows[row].0;
        let above = micros[row] - micros[plain] - micros[1];
        println!("| {name} | {:.2} | {above:.2} | {:.2} |", micros[row], above - micros[2]);
        if above > TARGET {
            println!("missed: {name} adds {above:.2} us, target {TARGET}");
        }
    }
}

/// Sends the request through a router, as a connection's task would.
fn through(mut router: Router, request: &Request<()>) -> Box<dyn FnMut()> {
    let runtime: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (parts, ()) = request.clone().into_parts();
    Box::new(move || {
        let request = Request::from_parts(parts.clone(), Body::from(EVENT));
        let response = runtime.block_on(router.call(request)).expect("a router does not fail");
        assert_eq!(response.status(), 200);
    })
}

fn medians(rows: &mut [Row]) -> Vec<f64> {
    let mut samples = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for round in 0..ROUNDS {
        for place in 0..rows.len() {
            let at = (round + place) % rows.len();
            let begun = Instant::now();
            for _ in 0..REPEATS {
                (rows[at].1)();
            }
            samples[at].push(begun.elapsed().as_nanos() as f64 / 1000.0 / f64::from(REPEATS));
        }
    }
    let middle = |mut of_row: Vec<f64>| {
        of_row.sort_by(f64::total_cmp);
        of_row[of_row.len() / 2]
    };
    samples.into_iter().map(middle).collect()
}
