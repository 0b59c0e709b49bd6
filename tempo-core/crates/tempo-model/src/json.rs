//! JSON in two forms: OTLP's own ([`otlp`], what clients push: hex ids) and Tempo's ([`tempo`], what queries answer:
//! base64 ids, 64-bit integers as strings, zero values left out).

pub mod otlp;
pub mod tempo;
