//! tempo-traceql (being built).
