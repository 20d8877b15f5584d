//! Metrics and logs. Labels carry codes and ids, never names, emails or tokens.
