//! For actix-web: [`Received`] as an extractor, [`Answer`] as a responder, [`Rejection`] as an error.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, ResponseError, web};
use agentflow_signature::{SIGNATURE_HEADER_LOWERCASE, TIMESTAMP_HEADER_LOWERCASE};
use bytes::Bytes;
use futures_util::Stream;
use http_body::Frame;
use tokio::time::Instant;

use crate::body::{self, Announced};
use crate::{Answer, Received, Receiver, Rejection};

/// Takes the raw payload, which actix-web would decompress for its own extractors. The app's data has the receiver, as
/// `web::Data<Receiver>`. A handler that asks for `Result<Received, Rejection>` answers refused requests itself.
impl FromRequest for Received {
    type Error = Rejection;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Rejection>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let arrived = Instant::now();
        let receiver = request.app_data::<web::Data<Receiver>>().cloned();
        let (request, payload) = (request.clone(), Raw(payload.take()));
        Box::pin(async move {
            let receiver = receiver.ok_or(Rejection::Unconfigured)?;
            let headers = signature_headers(request.headers());
            let (signature, collected) = receiver.before_the_body(&headers, announced(request.headers()))?;
            let body = body::read(collected, payload, arrived, receiver.deadline()).await?;
            receiver.judge(&signature, body, arrived)
        })
    }
}

/// actix-web's payload as a body of the `http-body` crate, so that it is read as every other.
struct Raw(Payload);

impl http_body::Body for Raw {
    type Data = Bytes;
    type Error = PayloadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PayloadError>>> {
        Pin::new(&mut self.get_mut().0).poll_next(context).map_ok(Frame::data)
    }
}

fn announced(headers: &HeaderMap) -> Announced {
    Announced {
        encoded: headers
            .get_all(header::CONTENT_ENCODING)
            .any(|value| !value.as_bytes().is_empty() && value != "identity"),
        bytes: headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok()),
    }
}

/// Every value of the two headers: that there is one of each is for the verifier to say.
fn signature_headers(headers: &HeaderMap) -> Vec<(&'static str, &[u8])> {
    [SIGNATURE_HEADER_LOWERCASE, TIMESTAMP_HEADER_LOWERCASE]
        .into_iter()
        .flat_map(|name| headers.get_all(name).map(move |value| (name, value.as_bytes())))
        .collect()
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        response(self.to_response())
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse<BoxBody> {
        response(self.to_response())
    }
}

/// actix-web stays with the `http` crate before 1.0, so what is said has to be said again in its types.
fn response(response: http::Response<Bytes>) -> HttpResponse<BoxBody> {
    let mut builder = HttpResponse::build(status(response.status()));
    for (name, value) in response.headers() {
        builder.insert_header((name.as_str(), value.as_bytes()));
    }
    builder.body(response.into_body())
}

fn status(status: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).expect("a status code is one in both versions")
}
