//! The receiver: raw request in, verified event out.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agentflow_events::Event;
use agentflow_signature::{Headers, Outbound, OutboundSecret, SignatureHeaders, Timestamp, Verifier};
use http::{HeaderMap, Request};
use http_body::Body;
use tokio::time::Instant;

use crate::body::{self, Announced, Collected};
use crate::{Received, Rejection};

/// Four times the largest lead that AgentFlow takes. Bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Half of the sender's patience, so that the other half is left for the work.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// Takes the raw body of a request, verifies it and reads the event from it.
///
/// Make one at start-up; it is cheap to clone and shared by all requests. It reads the system's clock unless told
/// otherwise. Several secrets are for rotation: for several senders, make a receiver and a store for each, as the keys of one
/// store do not tell senders apart.
///
/// # Example: by hand, in a service of your own
///
/// ```
/// use agentflow_receiver::Receiver;
/// use agentflow_signature::{OutboundSecret, Signer, Timestamp};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let body = include_bytes!("../../events/tests/golden/lead_qualified.json");
/// let receiver = Receiver::new(OutboundSecret::new("whsec_present")?).or(OutboundSecret::new("whsec_previous")?);
///
/// # let signed = Signer::new(&OutboundSecret::new("whsec_previous")?).sign(body, Timestamp::from(std::time::SystemTime::now()));
/// # let mut request = http::Request::post("/agentflow").body(body.iter().as_slice())?;
/// # signed.insert_into(request.headers_mut());
/// # let request = request.map(|body| http_body_util::Full::new(bytes::Bytes::from_static(body)));
/// let received = receiver.receive(request).await?;
/// assert_eq!(received.event().data.qualification.score.value(), 82);
/// assert_eq!(received.secret_index(), 1, "the sender has yet to change over");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Receiver {
    verifier: Arc<Verifier<Outbound>>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    body_bytes_max: usize,
    body_deadline: Duration,
}

impl Receiver {
    /// A receiver of events signed with `secret`, at most 300 seconds ago.
    pub fn new(secret: OutboundSecret) -> Self {
        Self::with_verifier(Verifier::new(secret))
    }

    /// A receiver with a verifier of your own making.
    pub fn with_verifier(verifier: Verifier<Outbound>) -> Self {
        Self {
            verifier: Arc::new(verifier),
            clock: Arc::new(SystemTime::now),
            body_bytes_max: BODY_BYTES_MAX,
            body_deadline: BODY_DEADLINE,
        }
    }

    /// Accepts one more secret, as during a rotation. Each costs another hash of the body.
    #[must_use]
    pub fn or(mut self, secret: OutboundSecret) -> Self {
        let verifier = Arc::unwrap_or_clone(self.verifier);
        self.verifier = Arc::new(verifier.or(secret));
        self
    }

    /// Sets the largest accepted gap between signing time and now, either way. Whole seconds; 300 unless set.
    #[must_use]
    pub fn tolerance(mut self, seconds: u32) -> Self {
        let verifier = Arc::unwrap_or_clone(self.verifier);
        self.verifier = Arc::new(verifier.tolerance(seconds));
        self
    }

    /// Sets the most bytes that a body may have; 1 MiB unless set.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// Sets how long the body may take to arrive; five seconds unless set. The sender gives up after ten in all.
    #[must_use]
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body_deadline = deadline;
        self
    }

    /// Sets the clock; the system's unless set. For tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reads a request's body, verifies it and parses the event.
    ///
    /// The body must be the raw one: put nothing before this that decompresses, buffers as JSON or rewrites it.
    ///
    /// # Errors
    ///
    /// In this order: a content encoding; headers that are missing, malformed or outside of the window; a body that is too
    /// large by its announced length; all that before anything is read. Then a body that is too large, late or broken, and
    /// what [`accept`](Self::accept) says.
    pub async fn receive<B>(&self, request: Request<B>) -> Result<Received, Rejection>
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let (head, body) = request.into_parts();
        self.receive_parts(&head.headers, body).await
    }

    pub(crate) async fn receive_parts<B>(&self, headers: &HeaderMap, body: B) -> Result<Received, Rejection>
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let arrived = Instant::now();
        let (signature, collected) = self.before_the_body(headers, Announced::of(headers))?;
        let body = body::read(collected, body, arrived, self.body_deadline).await?;
        self.judge(&signature, body, arrived)
    }

    /// Whatever can be refused without reading the body. Finds the two headers that the rest is about.
    pub(crate) fn before_the_body<'h>(
        &self,
        headers: &'h (impl Headers + ?Sized),
        announced: Announced,
    ) -> Result<(SignatureHeaders<'h>, Collected), Rejection> {
        if announced.encoded {
            return Err(Rejection::ContentEncoding);
        }
        let signature = headers.signature_headers()?;
        self.verifier.check_headers(&signature, Timestamp::from((self.clock)()))?;
        Ok((signature, Collected::begin(announced, self.body_bytes_max)?))
    }

    /// Verifies a body that has been read, and parses the event.
    ///
    /// # Errors
    ///
    /// [`Rejection::Signature`], in the order of [`Verifier::verify`]; then [`Rejection::Event`].
    pub fn accept(&self, headers: &HeaderMap, body: Vec<u8>) -> Result<Received, Rejection> {
        self.judge(headers, body, Instant::now())
    }

    pub(crate) fn judge(
        &self,
        headers: &(impl Headers + ?Sized),
        body: Vec<u8>,
        arrived: Instant,
    ) -> Result<Received, Rejection> {
        let verified = self.verifier.verify_owned(headers, body, Timestamp::from((self.clock)()))?;
        let event = Event::parse(verified.as_verified().body())?;
        Ok(Received::new(event, verified, arrived))
    }

    /// How long a body may take.
    #[cfg(feature = "actix")]
    pub(crate) fn deadline(&self) -> Duration {
        self.body_deadline
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("body_bytes_max", &self.body_bytes_max)
            .field("body_deadline", &self.body_deadline)
            .finish_non_exhaustive()
    }
}
