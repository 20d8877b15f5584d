//! What people ask of delivery beside its lanes: a test event at once, a URL's verdict, what an attempt sent.

use std::time::Duration;

use super::client::Sent;
use super::failure::SendError;
use super::message::{AGENT, Message};
use super::report;
use super::worker::{BODY_AFTER_HEAD, Worker, signing_time};
use super::{Target, TargetError};
use crate::record::{Attempt, Destination, EventRow};

/// How long a name is looked up before its URL is taken.
const CHECK_WITHIN: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) async fn send_test(&self, destination: &Destination, event: EventRow) -> Attempt {
        let at = self.clock.now();
        let target = Target::parse(&destination.url, self.policy());
        let workspace = self.directory.workspace(destination.workspace_id);
        let mut sent = match (&target, workspace) {
            (Ok(target), Some(workspace)) => {
                let request = || {
                    let now = self.clock.now();
                    let message = Message {
                        event_id: event.id,
                        event_type: event.event_type,
                        attempt_number: 1,
                        body: &event.body,
                        signers: workspace.signers(now),
                        now: signing_time(now),
                        agent: AGENT,
                    };
                    message.request(target)
                };
                self.client.send(target, request).await
            }
            (Err(error), _) => Sent::refused(*error),
            (Ok(_), None) => Sent::refused(TargetError::Malformed),
        };
        let ended = self.clock.now();
        if let Ok(reply) = &mut sent.answer {
            reply.body.read_within(BODY_AFTER_HEAD).await;
        }
        report::attempt(1, at, ended, target.as_ref().ok(), sent)
    }

    /// Judges a URL, and what its host resolves to where that is known soon.
    pub(super) async fn check_url(&self, url: &str) -> Result<(), TargetError> {
        let target = Target::parse(url, self.policy())?;
        let resolved = tokio::time::timeout(CHECK_WITHIN, self.client.resolve(&target)).await;
        match resolved {
            Ok(Err(SendError::Refused(error))) => Err(error),
            // What has no address now may have one later; each attempt looks again.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The head of an attempt's request; see [`report::request_head`].
    pub(super) fn request_head(&self, attempt: &Attempt, event: &EventRow) -> Option<String> {
        let workspace = self.directory.workspace(event.workspace_id)?;
        report::request_head(attempt, event, &workspace)
    }
}
