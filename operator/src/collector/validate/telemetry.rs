//! Where the collector serves its own metrics.

use serde_json::{Map, Value, json};

use super::ports::endpoint_port;

/// Port of the metrics where the configuration names none.
const METRICS_PORT: i32 = 8888;

/// Gives the metrics an address that other pods reach, where the user gave none.
pub(super) fn listen_everywhere(tree: &mut Value) {
    let mut metrics = tree;
    for section in ["service", "telemetry", "metrics"] {
        if metrics.get(section).is_none_or(Value::is_null) {
            metrics[section] = Value::Object(Map::new());
        }
        if !metrics[section].is_object() {
            return;
        }
        metrics = &mut metrics[section];
    }
    if !is_off(metrics) && metrics.get("address").is_none() && metrics.get("readers").is_none() {
        let prometheus = json!({"host": "0.0.0.0", "port": METRICS_PORT});
        metrics["readers"] = json!([{"pull": {"exporter": {"prometheus": prometheus}}}]);
    }
}

fn is_off(metrics: &Value) -> bool {
    metrics.get("level").and_then(Value::as_str) == Some("none")
}

/// The port that metrics are served on, if they are.
pub(super) fn metrics_port(tree: &Value) -> Option<i32> {
    let metrics = tree.pointer("/service/telemetry/metrics")?;
    if is_off(metrics) {
        return None;
    }
    if let Some(readers) = metrics.get("readers").and_then(Value::as_array) {
        let port = readers
            .iter()
            .find_map(|reader| reader.pointer("/pull/exporter/prometheus/port"))?;
        let number = port.as_i64().and_then(|number| i32::try_from(number).ok());
        return Some(number.unwrap_or(METRICS_PORT));
    }
    Some(endpoint_port(metrics).unwrap_or(METRICS_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(metrics: &Value) -> (Value, Option<i32>) {
        let mut tree = json!({"service": {"telemetry": {"metrics": metrics}}});
        listen_everywhere(&mut tree);
        let port = metrics_port(&tree);
        (tree["service"]["telemetry"]["metrics"].take(), port)
    }

    #[test]
    fn metrics_are_served_to_other_pods_unless_the_user_says_where() {
        let everywhere = json!([{"pull": {"exporter": {"prometheus": {"host": "0.0.0.0", "port": 8888}}}}]);
        let (metrics, port) = completed(&Value::Null);
        assert_eq!((metrics, port), (json!({"readers": everywhere}), Some(8888)));
        let mut nothing = json!({});
        listen_everywhere(&mut nothing);
        assert_eq!(metrics_port(&nothing), Some(8888));
        for (metrics, port) in [
            (json!({"level": "none"}), None),
            (json!({"address": "0.0.0.0:9999"}), Some(9999)),
            (json!({"address": "0.0.0.0:${env:PORT}"}), Some(8888)),
            (
                json!({"readers": [{"pull": {"exporter": {"prometheus": {"host": "::", "port": 7777}}}}]}),
                Some(7777),
            ),
            (json!({"readers": [{"periodic": {}}]}), None),
        ] {
            assert_eq!(completed(&metrics), (metrics, port));
        }
    }
}
