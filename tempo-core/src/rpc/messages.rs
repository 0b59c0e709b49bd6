//! The messages between roles. Fields are only ever added: processes of two versions speak with each other during a
//! roll-out.

use bytes::Bytes;
use tempo_model::proto::tempopb;

/// Spans for an ingester.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PushRequest {
    /// Whose they are.
    #[prost(string, tag = "1")]
    pub tenant: String,
    /// An encoded `ExportTraceServiceRequest`.
    #[prost(bytes = "bytes", tag = "2")]
    pub payload: Bytes,
    /// How many spans are in it.
    #[prost(uint32, tag = "3")]
    pub spans: u32,
    /// Whether the same bytes may have been stored by another ingester before.
    #[prost(bool, tag = "4")]
    pub maybe_duplicate: bool,
}

/// The acknowledgement of a push.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PushResponse {
    /// What was not stored, because the tenant is at a limit. All else was.
    #[prost(message, repeated, tag = "1")]
    pub rejected: Vec<RejectedSpans>,
}

/// Spans that were dropped.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RejectedSpans {
    /// Which limit.
    #[prost(enumeration = "RejectReason", tag = "1")]
    pub reason: i32,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub spans: u32,
    /// What the client reads.
    #[prost(string, tag = "3")]
    pub message: String,
}

/// Limits of a tenant that an ingester drops spans for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum RejectReason {
    /// One of a later version.
    Unknown = 0,
    /// `max_traces_per_user`.
    LiveTracesExceeded = 1,
    /// `max_bytes_per_trace`.
    TraceTooLarge = 2,
}

/// Seconds or nanoseconds, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct TimeRange {
    /// The first nanosecond since the Unix epoch.
    #[prost(uint64, tag = "1")]
    pub start_unix_nanos: u64,
    /// The last nanosecond since the Unix epoch.
    #[prost(uint64, tag = "2")]
    pub end_unix_nanos: u64,
}

/// What is asked.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Query {
    /// One of the kinds.
    #[prost(oneof = "Question", tags = "1, 2, 3, 4, 7")]
    pub question: Option<Question>,
    /// Only what overlaps this range; everything when absent.
    #[prost(message, optional, tag = "5")]
    pub range: Option<TimeRange>,
}

/// The kinds of queries.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Question {
    /// All spans of some traces.
    #[prost(message, tag = "1")]
    Trace(TraceQuestion),
    /// Traces by TraceQL.
    #[prost(message, tag = "2")]
    Search(SearchQuestion),
    /// Names of attributes.
    #[prost(message, tag = "3")]
    TagNames(TagNamesQuestion),
    /// Values of an attribute.
    #[prost(message, tag = "4")]
    TagValues(TagValuesQuestion),
    /// Where else traces have spans.
    #[prost(message, tag = "7")]
    Places(PlacesQuestion),
}

/// All spans of some traces.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TraceQuestion {
    /// 16 bytes each.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub trace_ids: Vec<Vec<u8>>,
    /// A source may leave out what a trace has beyond so many bytes, but then gives more than they; 0 is no limit.
    #[prost(uint64, tag = "2")]
    pub max_bytes: u64,
}

/// Traces by TraceQL.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SearchQuestion {
    /// The TraceQL text.
    #[prost(string, tag = "1")]
    pub query: String,
    /// How many traces at most.
    #[prost(uint32, tag = "2")]
    pub limit: u32,
    /// How many spans of a span set at most; 0 is all.
    #[prost(uint32, tag = "3")]
    pub spans_per_span_set: u32,
    /// Only traces that do not start before this, in nanoseconds since the Unix epoch.
    #[prost(uint64, tag = "4")]
    pub floor_unix_nanos: u64,
}

/// Where traces have spans besides the places that are known.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PlacesQuestion {
    /// The traces, each at a place where it is known to have spans.
    #[prost(message, repeated, tag = "1")]
    pub known: Vec<Place>,
}

/// A place of spans, a row group of a block or a head, and traces that have spans there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Place {
    /// The block's ULID, 16 bytes; empty for a head.
    #[prost(bytes = "vec", tag = "1")]
    pub block: Vec<u8>,
    /// The number of the row group, or of the head.
    #[prost(uint32, tag = "2")]
    pub row_group: u32,
    /// The ids, one after the other, 16 bytes each.
    #[prost(bytes = "bytes", tag = "3")]
    pub trace_ids: Bytes,
}

/// Names of attributes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TagNamesQuestion {
    /// `span`, `resource`, …; every scope when empty. Intrinsics are not told: they are the same everywhere.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Only names on spans that match this TraceQL filter; empty for all.
    #[prost(string, tag = "2")]
    pub query: String,
}

/// Values of an attribute.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TagValuesQuestion {
    /// `span`, `resource`, …, or `intrinsic`; span and resource when empty.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// The attribute's name, without scope; with scope `intrinsic`, as TraceQL names it (`status`, `span:status`).
    #[prost(string, tag = "2")]
    pub name: String,
    /// Only values on spans that match this TraceQL filter; empty for all.
    #[prost(string, tag = "3")]
    pub query: String,
    /// How many bytes of values at most; 0 is no limit.
    #[prost(uint64, tag = "4")]
    pub max_bytes: u64,
}

/// A part of an answer: what one source knows. Only the fields of the question's kind are set.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Partial {
    /// The spans of the traces.
    #[prost(message, optional, tag = "1")]
    pub trace: Option<tempopb::Trace>,
    /// Traces that match, if this source has all of their spans.
    #[prost(message, repeated, tag = "2")]
    pub found: Vec<FoundTrace>,
    /// Names by scope.
    #[prost(message, repeated, tag = "3")]
    pub scopes: Vec<tempopb::SearchTagsV2Scope>,
    /// Values.
    #[prost(message, repeated, tag = "4")]
    pub values: Vec<tempopb::TagValue>,
    /// What it took.
    #[prost(message, optional, tag = "5")]
    pub statistics: Option<Statistics>,
    /// Traces that may match if this source has not all of their spans.
    #[prost(message, repeated, tag = "6")]
    pub candidates: Vec<Candidates>,
    /// When there are more matches than were asked for: those left out start at or before this, in nanoseconds since the
    /// Unix epoch; so do candidates that are left out.
    #[prost(uint64, tag = "7")]
    pub left_out_unix_nanos: u64,
    /// Where traces that were asked for have spans.
    #[prost(message, repeated, tag = "8")]
    pub places: Vec<Place>,
}

/// Traces of a row group or head that may match as a whole.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Candidates {
    /// The number of the row group, or of the head.
    #[prost(uint32, tag = "1")]
    pub row_group: u32,
    /// The ids, one after the other, 16 bytes each.
    #[prost(bytes = "bytes", tag = "2")]
    pub trace_ids: Bytes,
    /// For each, the first start of a span there, in nanoseconds since the Unix epoch.
    #[prost(fixed64, repeated, tag = "3")]
    pub starts: Vec<u64>,
    /// For each, the last end of a span there, in nanoseconds since the Unix epoch.
    #[prost(fixed64, repeated, tag = "4")]
    pub ends: Vec<u64>,
}

/// A trace as one source knows it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FoundTrace {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// The service of the root span; empty when this source does not have the root.
    #[prost(string, tag = "2")]
    pub root_service_name: String,
    /// The name of the root span; empty when this source does not have the root.
    #[prost(string, tag = "3")]
    pub root_trace_name: String,
    /// The first start of a span, in nanoseconds since the Unix epoch.
    #[prost(uint64, tag = "4")]
    pub start_unix_nanos: u64,
    /// The last end of a span, in nanoseconds since the Unix epoch.
    #[prost(uint64, tag = "5")]
    pub end_unix_nanos: u64,
    /// The sets of spans that match.
    #[prost(message, repeated, tag = "6")]
    pub span_sets: Vec<tempopb::SpanSet>,
    /// Spans and errors by service.
    #[prost(map = "string, message", tag = "7")]
    pub service_stats: std::collections::HashMap<String, tempopb::ServiceStats>,
    /// The numbers of the row groups, or heads, that have matches. When there are several, the sets are not those of the
    /// whole trace.
    #[prost(uint32, repeated, tag = "8")]
    pub row_groups: Vec<u32>,
}

/// What answering took.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Statistics {
    /// Bytes that were read.
    #[prost(uint64, tag = "1")]
    pub inspected_bytes: u64,
    /// Spans that were looked at.
    #[prost(uint64, tag = "2")]
    pub inspected_spans: u64,
    /// Traces that were looked at.
    #[prost(uint64, tag = "3")]
    pub inspected_traces: u64,
}

/// A question to an ingester.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RecentRequest {
    /// Whose spans.
    #[prost(string, tag = "1")]
    pub tenant: String,
    /// The log position up to which the asker looks into blocks.
    #[prost(uint64, tag = "2")]
    pub position: u64,
    /// The question.
    #[prost(message, optional, tag = "3")]
    pub query: Option<Query>,
}

/// An ingester's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RecentResponse {
    /// What it has that is not in blocks at the position. Absent when it has let go of something that was committed
    /// after the position: then [`RecentResponse::moved_to`] says from where to ask again.
    #[prost(message, optional, tag = "1")]
    pub partial: Option<Partial>,
    /// A newer log position.
    #[prost(uint64, tag = "2")]
    pub moved_to: u64,
    /// The streams that this ingester answers for, as text ULIDs.
    #[prost(string, repeated, tag = "3")]
    pub streams: Vec<String>,
}

/// A part of a query for a querier.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JobRequest {
    /// Whose spans.
    #[prost(string, tag = "1")]
    pub tenant: String,
    /// The question.
    #[prost(message, optional, tag = "2")]
    pub query: Option<Query>,
    /// The log position of the query.
    #[prost(uint64, tag = "3")]
    pub position: u64,
    /// The block to look into, as its meta stands in the log (JSON); empty to ask the ingesters.
    #[prost(bytes = "bytes", tag = "4")]
    pub block: Bytes,
}

/// A querier's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JobResponse {
    /// What was found; absent when the query must go on from [`JobResponse::moved_to`], or the block is gone.
    #[prost(message, optional, tag = "1")]
    pub partial: Option<Partial>,
    /// A newer log position that the query must go on from; 0 when there is none.
    #[prost(uint64, tag = "2")]
    pub moved_to: u64,
    /// Why the answer may lack something; empty when it does not.
    #[prost(string, tag = "3")]
    pub incomplete: String,
    /// The block is not there any more: read the log again.
    #[prost(bool, tag = "4")]
    pub block_gone: bool,
    /// The streams that the asked ingesters answered for, as text ULIDs.
    #[prost(string, repeated, tag = "5")]
    pub streams: Vec<String>,
}
