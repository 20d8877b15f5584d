//! What arrived: the inbound log and the accepted bodies.

use std::net::IpAddr;

use agentflow_events::{LeadId, Moment, WorkspaceId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{EndpointId, LogId, SubmissionId};
use crate::reason::Reason;

/// What became of an inbound request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InboundStatus {
    /// Stored as a submission.
    Received,
    /// Known already; nothing new happened.
    Duplicate,
    /// Refused, with a reason.
    Rejected(Reason),
}

impl InboundStatus {
    /// The name on the wire: `received`, `duplicate` or `rejected`.
    pub fn as_str(self) -> &'static str {
        match self {
            InboundStatus::Received => "received",
            InboundStatus::Duplicate => "duplicate",
            InboundStatus::Rejected(_) => "rejected",
        }
    }

    /// The reason of a refusal.
    pub fn reason(self) -> Option<Reason> {
        match self {
            InboundStatus::Rejected(reason) => Some(reason),
            InboundStatus::Received | InboundStatus::Duplicate => None,
        }
    }
}

/// One request that reached a known endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundLogRow {
    /// Id.
    pub id: LogId,
    /// Owner of the endpoint.
    pub workspace_id: WorkspaceId,
    /// When the request was answered.
    pub at: Moment,
    /// What became of it.
    pub status: InboundStatus,
    /// The sender's address.
    pub remote_addr: IpAddr,
    /// Body bytes: those that were read, or, where none was, those that the request said it had.
    pub body_bytes: u64,
    /// The lead, where there is one.
    pub lead_id: Option<LeadId>,
    /// What was wrong with it. Absent where nothing was, and for refusals from before this was kept.
    pub finding: Option<Finding>,
}

/// What a refusal was put down to. Nothing of body, secret or signature is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of a signature, the code of [`Finding`](agentflow_signature::explain::Finding::code), for instance `json_rewritten`, or
    /// `skipped_body_too_large` or `skipped_too_many`; of anything else, the reason's.
    pub code: String,
    /// One sentence that says what to mend, or each field that is wrong.
    pub message: String,
}

/// One accepted request as it was sent. No `Debug`: the body is personal data.
#[derive(Clone)]
pub struct StoredSubmission {
    /// Id.
    pub id: SubmissionId,
    /// The endpoint that it came in by.
    pub endpoint_id: EndpointId,
    /// When it was accepted.
    pub at: Moment,
    /// The exact bytes that were verified.
    pub body: Bytes,
}
