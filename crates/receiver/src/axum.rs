//! For axum: [`Received`] as an extractor, [`Answer`] and [`Rejection`] as responses.

use axum_core::body::Body;
use axum_core::extract::{FromRef, FromRequest, Request};
use axum_core::response::{IntoResponse, Response};

use crate::{Answer, Received, Receiver, Rejection};

/// Takes the body, so it stands last among a handler's arguments. The router's state has the [`Receiver`], by itself or
/// by `FromRef`. A handler that asks for `Result<Received, Rejection>` answers refused requests itself.
impl<S> FromRequest<S> for Received
where
    S: Send + Sync,
    Receiver: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        Receiver::from_ref(state).receive(request).await
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.to_response().map(Body::from)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.to_response().map(Body::from)
    }
}
