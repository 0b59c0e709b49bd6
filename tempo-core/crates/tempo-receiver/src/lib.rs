//! tempo-receiver (being built).
