//! Settings that are read and change nothing: whoever sets one is told.

use serde_json::Value;

/// Where they are, and what holds instead. Settings that change nothing for the better are not here.
const WITHOUT_EFFECT: [(&str, &str); 8] = [
    (
        "/server/grpc_server_max_recv_msg_size",
        "messages between roles may have 128 MiB",
    ),
    (
        "/server/grpc_server_max_send_msg_size",
        "messages between roles may have 128 MiB",
    ),
    ("/stream_over_http_enabled", "the streaming API is not built yet"),
    (
        "/query_frontend/mcp_server/enabled",
        "the MCP server is not built yet",
    ),
    (
        "/ingester/lifecycler/ring/replication_factor",
        "replication is not built yet: one ingester has each span until it is in a block",
    ),
    (
        "/ingester/lifecycler/ring/zone_awareness_enabled",
        "replication is not built yet",
    ),
    (
        "/distributor/receivers/otlp/protocols/grpc/tls/min_version",
        "TLS 1.2 and 1.3 are offered",
    ),
    (
        "/distributor/receivers/otlp/protocols/http/tls/min_version",
        "TLS 1.2 and 1.3 are offered",
    ),
];

/// One sentence for each setting of `config` that is not as in `default` and has no effect.
pub(crate) fn without_effect(config: &Value, default: &Value) -> Vec<String> {
    let is_set = |path: &str| {
        let set = config.pointer(path).filter(|value| *value != &Value::from(""));
        set.is_some() && set != default.pointer(path)
    };
    let set = WITHOUT_EFFECT.iter().filter(|(path, _)| is_set(path));
    set.map(|(path, instead)| {
        let path = path.trim_start_matches('/').replace('/', ".");
        format!("{path}: has no effect; {instead}")
    })
    .collect()
}
