//! tempo-model (being built).
