//! Who explains: the secrets, and the order of the findings.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use zeroize::Zeroizing;

use super::claims::Claims;
use super::search::{Case, Suspect};
use super::stamp::Stamp;
use super::{Finding, Mistake};
use crate::verifier::TOLERANCE_SECONDS;
use crate::{
    Direction, Headers, Inbound, InboundSecret, Outbound, OutboundSecret, Secret, SignatureHeaders,
    Timestamp, VerifyError,
};

/// Explains why requests of direction `D` are refused. The [module](super) says whom to tell and what it costs.
///
/// It keeps the secrets as they are, unlike a [`Verifier`](crate::Verifier), and wipes them when it is dropped. Its `Debug`
/// shows their number.
///
/// # Example: a body that was serialised again
///
/// ```
/// use agentflow_signature::explain::Doctor;
/// use agentflow_signature::{InboundSecret, Signer, Timestamp};
///
/// let secret = InboundSecret::new("whsec_test")?;
/// let now = Timestamp::from_unix_seconds(1_731_573_840);
/// let signed = Signer::new(&secret).sign(br#"{"name": "Jordan Ellis"}"#, now);
///
/// let finding = Doctor::new(&secret).explain(&signed, br#"{"name":"Jordan Ellis"}"#, now).expect("it was refused");
/// assert_eq!(finding.code(), "json_rewritten");
/// assert!(finding.is_proven());
/// assert!(finding.to_string().contains("json.dumps"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Doctor<D> {
    suspects: Vec<(Zeroizing<String>, Option<Mistake>)>,
    /// The first so many are valid; those that are not follow.
    valid: usize,
    tolerance_seconds: u32,
    direction: PhantomData<fn() -> D>,
}

impl<D> Doctor<D> {
    /// A doctor for requests that should be signed with `secret`, within 300 seconds of their signing time.
    #[must_use]
    pub fn new(secret: &Secret<D>) -> Self {
        Self {
            suspects: vec![(copy(secret), None)],
            valid: 1,
            tolerance_seconds: TOLERANCE_SECONDS,
            direction: PhantomData,
        }
    }

    /// One more secret that is accepted, as for [`Verifier::or`](crate::Verifier::or).
    #[must_use]
    pub fn or(mut self, secret: &Secret<D>) -> Self {
        self.suspects.insert(self.valid, (copy(secret), None));
        self.valid += 1;
        self
    }

    /// A secret that is not accepted, but may have been used: one that was replaced, or that another workspace has.
    #[must_use]
    pub fn not_valid(mut self, secret: &Secret<D>) -> Self {
        self.suspects.push((copy(secret), Some(Mistake::SecretNotValid)));
        self
    }

    /// Sets the largest accepted gap between signing time and `now`, as for
    /// [`Verifier::tolerance`](crate::Verifier::tolerance). Whole seconds; 300 unless set.
    #[must_use]
    pub fn tolerance(mut self, seconds: u32) -> Self {
        self.tolerance_seconds = seconds;
        self
    }

    fn other(mut self, text: Zeroizing<String>) -> Self {
        self.suspects.push((text, Some(Mistake::SecretOfOtherDirection)));
        self
    }

    /// Says why the request is refused; `None` where a verifier with these secrets and this tolerance accepts it.
    ///
    /// Bounded in work and memory, whatever the request; the [module](super) has the bounds.
    #[must_use]
    pub fn explain(&self, headers: &(impl Headers + ?Sized), body: &[u8], now: Timestamp) -> Option<Finding> {
        match headers.signature_headers() {
            Ok(headers) => self.diagnose(headers, body, now),
            Err(error) => Some(Finding::of_headers(vec![of_presence(error)])),
        }
    }

    fn diagnose(&self, headers: SignatureHeaders<'_>, body: &[u8], now: Timestamp) -> Option<Finding> {
        let stamp = Stamp::read(headers.timestamp);
        let claims = Claims::read(headers.signature);
        let seen = || {
            let clock = stamp.time.and_then(|time| self.clock(time, now));
            claims.mistakes.iter().copied().chain(stamp.mistake).chain(clock)
        };
        let suspects =
            self.suspects.iter().map(|(text, mistake)| Suspect { text: text.as_str(), mistake: *mistake });
        let case = Case::new(suspects, &stamp, claims.timestamp, body);
        match case.search(&claims.tags) {
            Some(hidden) => {
                let mistakes: Vec<_> = seen().chain(hidden).collect();
                (!mistakes.is_empty()).then(|| Finding::proven(mistakes))
            }
            None if claims.tags.is_empty() => Some(Finding::of_headers(seen().collect())),
            None => Some(Finding::unproven(seen().collect())),
        }
    }

    fn clock(&self, signed: Timestamp, now: Timestamp) -> Option<Mistake> {
        let (signed, now) = (signed.as_unix_seconds(), now.as_unix_seconds());
        let mistake = match now.checked_sub(signed) {
            Some(seconds) => Mistake::ClockBehind { seconds },
            None => Mistake::ClockAhead { seconds: signed - now },
        };
        (signed.abs_diff(now) > self.tolerance_seconds.into()).then_some(mistake)
    }
}

impl Doctor<Inbound> {
    /// The secret that events are signed with, which leads may have been signed with by mistake.
    #[must_use]
    pub fn other_direction(self, secret: &OutboundSecret) -> Self {
        self.other(copy(secret))
    }
}

impl Doctor<Outbound> {
    /// The secret that leads are signed with, with which events may be verified by mistake.
    #[must_use]
    pub fn other_direction(self, secret: &InboundSecret) -> Self {
        self.other(copy(secret))
    }
}

impl<D: Direction> fmt::Debug for Doctor<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("direction", &format_args!("{}", D::NAME))
            .field("secrets", &self.suspects.len())
            .field("tolerance_seconds", &self.tolerance_seconds)
            .finish()
    }
}

fn copy<D>(secret: &Secret<D>) -> Zeroizing<String> {
    Zeroizing::new(String::from(secret.expose()))
}

/// What a search for the headers answers is that one is not there, or is there more than once.
fn of_presence(error: VerifyError) -> Mistake {
    match error {
        VerifyError::MissingSignature => Mistake::SignatureMissing,
        VerifyError::MalformedSignature => Mistake::SignatureRepeated,
        VerifyError::MissingTimestamp => Mistake::TimestampMissing,
        VerifyError::MalformedTimestamp => Mistake::TimestampRepeated,
        VerifyError::Stale { age_seconds } => Mistake::ClockBehind { seconds: age_seconds },
        VerifyError::Future { ahead_seconds } => Mistake::ClockAhead { seconds: ahead_seconds },
        VerifyError::InvalidSignature => Mistake::Unexplained,
    }
}
