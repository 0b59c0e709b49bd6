//! Who is there, as gossip knows: the page `/memberlist` and the gauge that dashboards know.

use axum::Router;
use axum::routing::get;
use comfy_table::{Table, presets};
use prometheus_client::metrics::gauge::Gauge;
use tempo_runtime::Environment;
use tempo_runtime::membership::Members;
use tempo_runtime::metrics::MetricsRegistry;

/// The page.
pub(super) fn routes(members: Members) -> Router {
    Router::new().route("/memberlist", get(move || async move { page(&members) }))
}

fn page(members: &Members) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_FULL_CONDENSED)
        .set_header(["NAME", "ROLE", "GRPC ADDRESS"]);
    for member in members.all().iter() {
        table.add_row([&member.id, &member.role, &member.grpc_address]);
    }
    format!("{table}\n")
}

/// Keeps `tempo_memberlist_client_cluster_members_count` as it is, until gossip ends.
pub(super) fn count(environment: &Environment, mut members: Members, metrics: &MetricsRegistry) {
    let gauge: Gauge = metrics.register(
        "tempo_memberlist_client_cluster_members_count",
        "Live processes of the stack, this one included",
        Gauge::default(),
    );
    environment.spawn("members", async move {
        loop {
            gauge.set(members.all().len() as i64);
            if !members.changed().await {
                return;
            }
        }
    });
}
