//! (being built).
