//! The AgentFlow webhook server: signed leads in, qualified events out, from one file on one machine.
