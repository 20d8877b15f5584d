//! Sign and verify AgentFlow webhooks: HMAC-SHA256 over timestamp and raw body, no_std, no unsafe code.
