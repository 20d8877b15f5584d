//! One attempt: sign now, post, read the reply within bounds.

use std::time::Duration;

use agentflow_signature::{Inbound, Signer, Timestamp};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::endpoint::Endpoint;
use crate::reply::{self, REPLY_BYTES_MAX};
use crate::{Accepted, Failure, Prepared, ReplyFault, clock, fault};

/// How long a connection is kept for the next lead. Less than a server does, which else would close it on a request's way.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Bytes of a reply's header section.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Everything that is the same from one attempt to the next.
pub(crate) struct Exchange {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
    signer: Signer<Inbound>,
    user_agent: HeaderValue,
}

impl Exchange {
    /// `connect_timeout`: for all addresses of the host's name together, so that one that is silent does not use up the
    /// time of the others.
    pub(crate) fn new(
        endpoint: Endpoint,
        signer: Signer<Inbound>,
        user_agent: HeaderValue,
        tls: ClientConfig,
        connect_timeout: Duration,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        // The connector around it asks for https; this one would ask for http.
        tcp.enforce_http(false);
        // Leads are small and each waits for its answer: nothing is gained by holding bytes back.
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        // It opens another connection where a kept one was closed before it took a byte of the request: the same attempt.
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(https);
        Self { http, endpoint, signer, user_agent }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One attempt, the `number`th (from 1), done within this time from the resolving of the name to the last byte of the
    /// reply.
    pub(crate) async fn attempt(
        &self,
        prepared: &Prepared,
        number: u32,
        within: Duration,
    ) -> Result<Accepted, Failure> {
        match timeout(within, self.post(prepared, number)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Timeout { within }),
        }
    }

    async fn post(&self, prepared: &Prepared, number: u32) -> Result<Accepted, Failure> {
        let request = self.request(prepared, Timestamp::from(clock::now()));
        let response = self.http.request(request).await.map_err(|error| fault::of_request(&error))?;
        let (head, body) = response.into_parts();
        match read(body).await? {
            Some(body) => reply::read(head.status, &head.headers, &body, number, clock::now()),
            None => Err(reply::unexpected(head.status, &head.headers, ReplyFault::TooLong, clock::now())),
        }
    }

    fn request(&self, prepared: &Prepared, now: Timestamp) -> Request<Full<Bytes>> {
        let body = prepared.bytes();
        let signed = self.signer.sign(&body, now);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri();
        let key = HeaderValue::from_str(prepared.key().as_str()).expect("visible ASCII is a header value");
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(IDEMPOTENCY_KEY, key);
        signed.insert_into(headers);
        request
    }
}

/// The whole body; `None` where it is too long, of which no more is read than the limit.
async fn read(mut body: Incoming) -> Result<Option<Bytes>, Failure> {
    let limit = u64::try_from(REPLY_BYTES_MAX).unwrap_or(u64::MAX);
    if body.size_hint().lower() > limit {
        return Ok(None);
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| fault::of_exchange(&error))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if bytes.len() + chunk.len() > REPLY_BYTES_MAX {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

#[cfg(test)]
mod tests {
    use agentflow_signature::InboundSecret;

    use crate::rig::Rig;
    use crate::{Client, Prepared, Reason};

    /// The one problem that no caller can bring about: a client validates before it sends.
    #[tokio::test]
    async fn a_server_s_own_violations_are_read_field_by_field() {
        let rig = Rig::start().await;
        let secret = InboundSecret::new(rig.secret.as_str()).unwrap();
        let client = Client::builder(&rig.url, secret).only_ca(rig.certificate.as_slice()).build().unwrap();
        let bad = Prepared::unchecked(br#"{"name": " ", "email": "jordan@stacklane", "company": 7}"#);
        let error = client.send_prepared(&bad).await.unwrap_err();

        let problem = error.problem().unwrap();
        assert_eq!((problem.status, &problem.reason), (422, &Reason::ValidationFailed));
        let found: Vec<_> = problem.errors.iter().map(|e| (e.field.as_str(), e.code.as_str())).collect();
        assert_eq!(found, [("name", "required"), ("email", "invalid_format"), ("company", "invalid_type")]);
        assert!(problem.errors.iter().all(|error| !error.message.is_empty()));
        assert_eq!((error.attempts(), error.is_retryable()), (1, false));
        rig.stop().await;
    }
}
