//! The AgentFlow lead payload: parse untrusted JSON, validate it, and report every violation at once.
