//! Whose it is: the workspace, its settings, credentials and people.

use std::collections::BTreeMap;
use std::fmt;

use agentflow_events::{Moment, OperatorId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FactorState;
use crate::id::{AuditId, EndpointId, SecretId, TokenId, mint};

/// What a workspace may set; `GET/PUT /api/v1/settings` shows exactly this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A score at or above it qualifies the lead; null: never.
    pub auto_approve_at: Option<u8>,
    /// A score below it rejects the lead; null: never. Never above `auto_approve_at`.
    pub auto_reject_below: Option<u8>,
    /// How long a body counts as a duplicate, in seconds; at least 600.
    pub duplicate_window_seconds: u32,
    /// Wait before each attempt, in seconds, from the previous one; the first is the wait before the first attempt.
    pub retry_schedule_seconds: Vec<u32>,
    /// Closed leads are deleted after this many days; null: kept.
    pub retention_days: Option<u32>,
    /// Whether a `lead.review_requested` that is still pending is dropped once its lead is decided.
    pub supersede_review_requests: bool,
    /// What the built-in scorer looks for.
    pub scoring: ScoringRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_approve_at: Some(80),
            auto_reject_below: Some(30),
            duplicate_window_seconds: 86_400,
            retry_schedule_seconds: vec![0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000],
            retention_days: None,
            supersede_review_requests: false,
            scoring: ScoringRules::default(),
        }
    }
}

/// The workspace's own part of the scoring rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoringRules {
    /// Words and phrases of the ideal customer, found in message, company and additional fields; case does not matter.
    pub ideal_customer_keywords: Vec<String>,
    /// Sources that count for a lead.
    pub preferred_sources: Vec<String>,
    /// Email domains that are always disposable, beside the built-in list.
    pub disposable_domains: Vec<String>,
}

/// One customer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Id.
    pub id: WorkspaceId,
    /// When it was made.
    pub created_at: Moment,
    /// What it has set.
    pub settings: Settings,
}

/// Bytes encrypted with the server's master key; `vault` seals and opens them.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBytes(pub Vec<u8>);

impl fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBytes({})", self.0.len())
    }
}

/// An inbound endpoint: found by its token's hash, the token sealed for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Id.
    pub id: EndpointId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// SHA-256 of the token's text.
    pub token_hash: [u8; 32],
    /// The token's text.
    pub token: SealedBytes,
    /// When it was made.
    pub created_at: Moment,
}

/// Which way a secret signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretDirection {
    /// Senders sign leads with it.
    Inbound,
    /// The server signs events with it.
    Outbound,
}

impl SecretDirection {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            SecretDirection::Inbound => "inbound",
            SecretDirection::Outbound => "outbound",
        }
    }
}

/// A signing secret. Of one direction, the youngest that is active is the present one; it has an end only while a successor
/// waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// Id.
    pub id: SecretId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// Which way it signs.
    pub direction: SecretDirection,
    /// The secret's text.
    pub secret: SealedBytes,
    /// When it was made.
    pub created_at: Moment,
    /// From here on it counts; later than `created_at` for an outbound one that receivers take up first.
    pub active_from: Moment,
    /// After this it is refused, or no longer signed with; absent: no end is in sight.
    pub expires_at: Option<Moment>,
    /// How often a sender used it while another one of its direction was accepted, too. Counted for inbound ones alone.
    pub uses: u64,
    /// When that was last.
    pub last_used_at: Option<Moment>,
}

impl SecretRow {
    /// Of secrets of one direction, the one that counts at `now`: the youngest that is active. Before the first one's time, which
    /// a clock that was set back brings about, the oldest.
    pub fn present(of_one_direction: &[Self], now: Moment) -> Option<&Self> {
        let active = of_one_direction.iter().filter(|row| row.active_from <= now);
        active
            .max_by_key(|row| (row.expires_at.is_none(), row.active_from, row.id))
            .or_else(|| of_one_direction.iter().min_by_key(|row| (row.active_from, row.id)))
    }
}

/// Uses of a secret that are not in the store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretUses {
    /// The secret.
    pub id: SecretId,
    /// So many more.
    pub more: u64,
    /// The last of them.
    pub last_used_at: Moment,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and decides.
    Operator,
    /// Everything, settings and secrets among it.
    Admin,
}

impl Role {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Role::Viewer, Role::Operator, Role::Admin].into_iter().find(|role| role.as_str() == name)
    }
}

/// A person. The password is kept as an argon2id hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// Id.
    pub id: OperatorId,
    /// Workspace.
    pub workspace_id: WorkspaceId,
    /// Name to sign in with.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
    /// What the person may do.
    pub role: Role,
    /// When the account was made.
    pub created_at: Moment,
    /// Until when an invitation to choose a password can be used; absent: there is none.
    pub invited_until: Option<Moment>,
    /// Whether a sign-in asks for a code after the password. Told by the store; changed by its
    /// [`FactorStore`](crate::store::FactorStore) alone.
    pub second_factor: FactorState,
}

impl Operator {
    /// The person as who makes a change.
    pub fn actor(&self) -> Actor {
        Actor { workspace_id: self.workspace_id, operator_id: self.id }
    }

    /// Whether a sign-in asks for a code after the password.
    pub fn has_second_factor(&self) -> bool {
        self.second_factor != FactorState::Off
    }
}

/// What an operator is changed to; absent: as it is.
#[derive(Clone, Default)]
pub struct OperatorChange {
    /// Name to sign in with.
    pub email: Option<String>,
    /// What the person may do.
    pub role: Option<Role>,
    /// PHC string.
    pub password_hash: Option<String>,
    /// Only while the present password has this hash.
    pub instead_of: Option<String>,
}

/// Lets a person choose a password, once; found by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of the token's text.
    pub token_hash: [u8; 32],
    /// For whom.
    pub operator_id: OperatorId,
    /// It cannot be used from here on.
    pub expires_at: Moment,
}

/// Who makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Everything outside it does not exist for them.
    pub workspace_id: WorkspaceId,
    /// The person.
    pub operator_id: OperatorId,
}

/// Who did what to what, kept for the workspace's admins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Id.
    pub id: AuditId,
    /// Owner.
    pub workspace_id: WorkspaceId,
    /// When.
    pub at: Moment,
    /// Who.
    pub operator_id: OperatorId,
    /// What, for instance `lead.approve` or `secret.rotate`.
    pub action: String,
    /// To which object: an id, or empty.
    pub subject: String,
    /// What it made of what; empty where that has no words.
    pub changes: Vec<Change>,
}

/// One field before and after a change, as people read it. Nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The field, as the management API calls it.
    pub field: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl Change {
    /// The members that differ between two records of the same shape; those of an object within them each by itself.
    pub fn between<T: Serialize>(before: &T, after: &T) -> Vec<Self> {
        let (before, after) = (members(before), members(after));
        let pairs = after.into_iter().map(|(field, after)| {
            let before = before.get(&field).map(words).unwrap_or_default();
            Self { field, before, after: words(&after) }
        });
        pairs.filter(|change| change.before != change.after).collect()
    }
}

/// A record's members by their names, those of an object within it as `name.member`.
fn members(record: &impl Serialize) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let Ok(Value::Object(record)) = serde_json::to_value(record) else { return all };
    for (name, value) in record {
        match value {
            Value::Object(within) => {
                all.extend(within.into_iter().map(|(member, value)| (format!("{name}.{member}"), value)));
            }
            value => {
                all.insert(name, value);
            }
        }
    }
    all
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

impl AuditRow {
    /// The row that tells of a change by this person.
    pub fn new(actor: Actor, at: Moment, action: &str, subject: impl ToString) -> Self {
        Self {
            id: mint(at),
            workspace_id: actor.workspace_id,
            at,
            operator_id: actor.operator_id,
            action: action.to_owned(),
            subject: subject.to_string(),
            changes: Vec::new(),
        }
    }

    /// The same with what it made of what.
    pub fn changing(self, changes: Vec<Change>) -> Self {
        Self { changes, ..self }
    }
}

/// An API token: found by its hash, acts for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Id.
    pub id: TokenId,
    /// Workspace.
    pub workspace_id: WorkspaceId,
    /// For whom it acts.
    pub operator_id: OperatorId,
    /// What people call it.
    pub name: String,
    /// What it may do; never more than its operator may.
    pub role: Role,
    /// SHA-256 of the token's text.
    pub token_hash: [u8; 32],
    /// When it was made.
    pub created_at: Moment,
    /// When it was last used, to about a minute; absent: never.
    pub last_used_at: Option<Moment>,
}

#[cfg(test)]
mod tests {
    use super::{Change, Settings};

    #[test]
    fn only_what_differs_is_told_and_in_words() {
        let before = Settings::default();
        let mut after = before.clone();
        (after.auto_approve_at, after.retention_days) = (None, Some(90));
        after.scoring.preferred_sources = vec!["referral".to_owned(), "event".to_owned()];
        let told: Vec<_> = Change::between(&before, &after)
            .into_iter()
            .map(|change| (change.field, change.before, change.after))
            .collect();
        let text = |field: &str, old: &str, new: &str| (field.to_owned(), old.to_owned(), new.to_owned());
        assert_eq!(
            told,
            [
                text("auto_approve_at", "80", "none"),
                text("retention_days", "none", "90"),
                text("scoring.preferred_sources", "", "referral, event"),
            ]
        );
        assert!(Change::between(&before, &before).is_empty());
    }
}
