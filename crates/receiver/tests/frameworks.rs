//! The same requests through each way in: layer, service, axum, actix-web. All give the same replies.

#![cfg_attr(
    all(feature = "tower", feature = "axum", feature = "actix"),
    expect(clippy::unwrap_used, reason = "a test fails by panicking")
)]
#![cfg(all(feature = "tower", feature = "axum", feature = "actix"))]

mod support;

use std::convert::Infallible;

use agentflow_events::idempotency::MemoryStore;
use agentflow_receiver::{Answer, Handler, Received, ReceivedBody, Receiver, Rejection, VerifyLayer};
use axum::extract::{FromRef, State};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use tower_layer::Layer;
use tower_service::Service;

use crate::support::{EVENT, NOW, event_with, reason, receiver, signed, signed_at};

type Incoming = Request<Full<Bytes>>;

/// A response with its body read.
async fn read<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// What to send, and the status and reason to be had for it.
fn cases() -> Vec<(Incoming, u16, &'static str)> {
    let mut unsigned = signed(EVENT);
    unsigned.headers_mut().remove("x-agentflow-signature");
    let mut twice = signed(EVENT);
    twice.headers_mut().append("x-agentflow-timestamp", NOW.into());
    let mut encoded = signed(EVENT);
    encoded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    vec![
        (unsigned, 401, "missing_signature"),
        (twice, 400, "malformed_timestamp"),
        (signed_at(EVENT, NOW - 301), 401, "stale_timestamp"),
        (encoded, 415, "unsupported_media_type"),
        (signed(vec![b' '; 1024 * 1024 + 1]), 413, "body_too_large"),
        (signed("[]"), 422, "wrong_type"),
        (signed(event_with("lead.qualified", "lead.merged")), 200, "unknown_event_type"),
        (signed(EVENT), 200, "done"),
        (signed(EVENT), 200, "already_done"),
    ]
}

async fn work(received: Received) -> Result<(), Infallible> {
    assert_eq!(received.body(), EVENT);
    Ok(())
}

fn handler() -> Handler<MemoryStore> {
    Handler::new(MemoryStore::new()).clock(support::clock)
}

async fn check<S, B>(mut service: S)
where
    S: Service<Incoming, Response = Response<B>, Error: std::fmt::Debug>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    for (request, status, code) in cases() {
        let response = read(service.call(request).await.unwrap()).await;
        assert_eq!((response.status().as_u16(), reason(&response).as_str()), (status, code));
    }
}

#[tokio::test]
async fn a_whole_service() {
    let mut service = handler().service(receiver(), work);
    check(service.clone()).await;
    let get = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let response = read(service.call(get).await.unwrap()).await;
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"POST".parse().unwrap()));
    // And as a route.
    check(Router::new().route_service("/agentflow", handler().service(receiver(), work))).await;
}

#[derive(Clone, FromRef)]
struct App {
    receiver: Receiver,
    handler: Handler<MemoryStore>,
}

#[tokio::test]
async fn an_axum_extractor() {
    async fn on_event(State(app): State<App>, received: Received) -> Answer {
        app.handler.handle(received, work).await
    }
    let app = App { receiver: receiver(), handler: handler() };
    check(Router::new().route("/agentflow", post(on_event)).with_state(app)).await;
}

#[tokio::test]
async fn an_axum_handler_that_answers_refused_requests_itself() {
    async fn on_event(received: Result<Received, Rejection>) -> String {
        received
            .map_or_else(|rejection| rejection.code().to_owned(), |received| received.event().id.to_string())
    }
    let mut router = Router::new().route("/agentflow", post(on_event)).with_state(receiver());
    let response = read(router.call(signed_at(EVENT, 0)).await.unwrap()).await;
    assert_eq!(response.body(), "stale_timestamp");
}

#[tokio::test]
async fn a_layer_in_front_of_axum_routes() {
    async fn on_event(
        State(app): State<App>,
        Extension(received): Extension<Received>,
        body: Bytes,
    ) -> Answer {
        assert_eq!(body, EVENT, "the raw body is there once more");
        app.handler.handle(received, work).await
    }
    let app = App { receiver: receiver(), handler: handler() };
    let layer = VerifyLayer::new(receiver());
    // Its own limit on bodies is below the layer's.
    check(Router::new().route("/agentflow", post(on_event)).with_state(app).layer(layer)).await;
}

#[tokio::test]
async fn a_layer_in_front_of_any_service() {
    #[derive(Clone)]
    struct Inner(Handler<MemoryStore>);
    impl Service<Request<ReceivedBody>> for Inner {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<ReceivedBody>) -> Self::Future {
            let (handler, received) =
                (self.0.clone(), request.extensions().get::<Received>().unwrap().clone());
            Box::pin(async move {
                let mut body = request.into_body();
                assert_eq!(
                    (body.is_end_stream(), body.size_hint().exact()),
                    (false, Some(EVENT.len() as u64))
                );
                let frame = body.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), EVENT);
                assert_eq!((body.is_end_stream(), body.size_hint().exact()), (true, Some(0)));
                assert!(body.frame().await.is_none());
                Ok(handler.handle(received, work).await.to_response().map(Full::new))
            })
        }
    }
    check(VerifyLayer::new(receiver()).layer(Inner(handler()))).await;

    let layer = VerifyLayer::new(receiver())
        .on_rejection(|rejection| Response::new(Full::from(rejection.code().to_owned())));
    let response = layer.layer(Inner(handler())).call(signed_at(EVENT, 0)).await.unwrap();
    assert_eq!(read(response).await.body(), "stale_timestamp");
}

#[tokio::test]
async fn a_route_beside_the_methods_of_a_tonic_server() {
    let (_, health) = tonic_health::server::health_reporter();
    let service = handler().service(receiver(), work);
    let mut router =
        tonic::service::Routes::new(health).into_axum_router().route_service("/agentflow", service);
    let call = Request::post("/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .body(Full::new(Bytes::from_static(&[0; 5])))
        .unwrap();
    let response = router.call(call).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let trailers = response.into_body().collect().await.unwrap();
    assert_eq!(trailers.trailers().unwrap()["grpc-status"], "0");
    check(router).await;
}

mod actix {
    use actix_web::body::to_bytes;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, ResponseError, web};

    use super::*;

    async fn request(request: Incoming) -> TestRequest {
        let (head, body) = request.into_parts();
        let mut test = TestRequest::post().uri("/agentflow");
        for (name, value) in &head.headers {
            test = test.append_header((name.as_str(), value.as_bytes()));
        }
        test.set_payload(body.collect().await.unwrap().to_bytes())
    }

    async fn response(response: actix_web::dev::ServiceResponse) -> Response<Bytes> {
        let mut builder = Response::builder().status(response.status().as_u16());
        for (name, value) in response.headers() {
            builder = builder.header(name.as_str(), value.as_bytes());
        }
        builder.body(to_bytes(response.into_body()).await.unwrap()).unwrap()
    }

    #[actix_web::test]
    async fn an_extractor() {
        async fn on_event(handler: web::Data<Handler<MemoryStore>>, received: Received) -> Answer {
            handler.handle(received, work).await
        }
        let app = App::new()
            .app_data(web::Data::new(receiver()))
            .app_data(web::Data::new(handler()))
            .route("/agentflow", web::post().to(on_event));
        let service = init_service(app).await;
        for (sent, status, code) in cases() {
            let response = response(call_service(&service, request(sent).await.to_request()).await).await;
            assert_eq!((response.status().as_u16(), reason(&response).as_str()), (status, code));
        }
    }

    #[actix_web::test]
    async fn a_handler_that_answers_refused_requests_itself() {
        async fn on_event(received: Result<Received, Rejection>) -> HttpResponse {
            received.map_or_else(|rejection| rejection.error_response(), |_| HttpResponse::Ok().finish())
        }
        let app = App::new().route("/agentflow", web::post().to(on_event));
        let service = init_service(app).await;
        let response =
            response(call_service(&service, request(signed(EVENT)).await.to_request()).await).await;
        assert_eq!((response.status().as_u16(), reason(&response).as_str()), (500, "unconfigured"));
    }
}
