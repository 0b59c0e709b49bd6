//! TraceQL against the conformance data, and properties of the parser.

mod conformance;
mod parse;
