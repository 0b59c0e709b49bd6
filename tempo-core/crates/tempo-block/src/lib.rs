//! tempo-block (being built).
