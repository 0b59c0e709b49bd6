//! tempo-config (being built).
