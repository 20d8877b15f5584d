//! AgentFlow events: the envelope, the ids, and idempotent receiving under crashes and races.
