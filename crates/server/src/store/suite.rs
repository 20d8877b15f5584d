//! The tests that every store must pass, written against [`Store`](super::Store).
