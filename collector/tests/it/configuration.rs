//! What is wrong with a configuration is said by path, and the command line ends with 1.

use std::process::Command;

use crate::support::configuration;

pub(crate) const GOOD: &str = "
receivers: {otlp: {protocols: {grpc: , http: }}}
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 20}
  batch:
exporters:
  otlp: {endpoint: 'tempo:4317', tls: {insecure: true}, headers: {X-Scope-OrgID: 42}}
  debug:
extensions: {health_check: }
service:
  extensions: [health_check]
  telemetry: {logs: {level: warn}, metrics: {level: detailed}}
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_grpc]}
    traces/log: {receivers: [otlp], exporters: [debug]}
";

fn problems(yaml: &str) -> String {
    configuration(yaml).expect_err("a bad configuration").to_string()
}

#[test]
fn a_usual_configuration_is_taken() {
    let config = configuration(GOOD).unwrap();
    assert_eq!(config.service.pipelines.len(), 2);
    assert_eq!(config.service.telemetry.log_level, "warn");
    let upstream = GOOD.replacen(
        "{level: detailed}",
        "{level: normal, views: [], readers: [{periodic: {interval: 1}}, {pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8889, without_units: true}}}}]}",
        1,
    );
    let telemetry = configuration(&upstream).unwrap().service.telemetry;
    assert_eq!(telemetry.metrics_address.as_deref(), Some("0.0.0.0:8889"));
}

/// What is written instead of what, and what is said about it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "grpc: , http: ",
        "",
        "receivers::otlp::protocols: names no protocol",
    ),
    (
        "grpc: ,",
        "grpc: {endpoint: nowhere},",
        "receivers::otlp::protocols::grpc::endpoint: 'nowhere' is not host:port",
    ),
    (
        "grpc: ,",
        "grpc: {max_recv_msg_size_mib: 0},",
        "receivers::otlp::protocols: the largest request must be above 0",
    ),
    (
        "grpc: ,",
        "grpc: {speed: 9},",
        "receivers::otlp::protocols::grpc::speed: unknown field `speed`",
    ),
    (
        "otlp: {endpoint",
        "kafka: {endpoint",
        "exporters::kafka: unknown type 'kafka'; supported here: debug, otlp_grpc",
    ),
    (
        "endpoint: 'tempo:4317', ",
        "",
        "exporters::otlp::endpoint: is required",
    ),
    (
        "tempo:4317', ",
        "tempo:4317', timeout: soon, ",
        "exporters::otlp::timeout: 'soon' is not a duration",
    ),
    (
        "tempo:4317', ",
        "tempo:4317', sending_queue: {num_consumers: 0}, ",
        "exporters::otlp::sending_queue: num_consumers",
    ),
    (
        "tempo:4317', ",
        "tempo:4317', retry_on_failure: {max_elapsed_time: 1s}, ",
        "exporters::otlp::retry_on_failure: max_elapsed_time",
    ),
    (
        "tempo:4317', ",
        "tempo:4317', retry_on_failure: {multiplier: 0.5}, ",
        "exporters::otlp::retry_on_failure: multiplier must lie between 1 and 100",
    ),
    (
        "tempo:4317', ",
        "tempo:4317', retry_on_failure: {multiplier: 1000}, ",
        "exporters::otlp::retry_on_failure: multiplier must lie between 1 and 100",
    ),
    (
        "tempo:4317', ",
        "tempo:4317', retry_on_failure: {initial_interval: 0s}, ",
        "exporters::otlp::retry_on_failure: initial_interval must be at least 1ms",
    ),
    (
        "limit_percentage: 80",
        "limit_mib: 17592186044416",
        "processors::memory_limiter::limit_mib: is more than any machine has",
    ),
    (
        "insecure: true",
        "cert_file: /a",
        "exporters::otlp::tls: tls: cert_file and key_file come together",
    ),
    (
        "check_interval: 1s, ",
        "",
        "processors::memory_limiter::check_interval: must be set",
    ),
    (
        "  batch:\n",
        "  batch: {send_batch_size: 9, send_batch_max_size: 5}\n",
        "processors::batch::send_batch_max_size: 5 is less",
    ),
    (
        "extensions: [health_check]",
        "extensions: [health_check/x]",
        "service::extensions: references health_check/x",
    ),
    (
        "exporters: [debug]",
        "exporters: [debug/x]",
        "service::pipelines::traces/log: references debug/x, which is not configured",
    ),
    (
        "exporters: [debug]",
        "exporters: []",
        "service::pipelines::traces/log: has no exporter",
    ),
    (
        "processors: [memory_limiter, batch]",
        "processors: [batch, batch]",
        "service::pipelines::traces::processors: lists batch twice",
    ),
    (
        "    traces/log",
        "    metrics",
        "service::pipelines::metrics: 'metrics' is not supported",
    ),
    (
        "level: warn",
        "level: loud",
        "service::telemetry::logs::level: unknown variant `loud`",
    ),
    (
        "level: detailed",
        "address: nowhere",
        "service::telemetry::metrics::address: 'nowhere' is not host:port",
    ),
    (
        "level: detailed",
        "levels: detailed",
        "service::telemetry::metrics::levels: unknown field `levels`",
    ),
    (
        "exporters: [debug]",
        "exporters: ['${env:']",
        "service::pipelines::traces/log::exporters::0: '${env:' has no closing brace",
    ),
    (
        "  debug:\n",
        "  debug:\n  otlp_grpc: {endpoint: 'b:1'}\n",
        "exporters::otlp_grpc: is a second component",
    ),
];

#[test]
fn every_mistake_is_named_with_its_path() {
    for (from, to, expected) in MISTAKES {
        assert!(GOOD.contains(from), "{from}");
        let said = problems(&GOOD.replacen(from, to, 1));
        assert!(said.contains(expected), "{to}:\n{said}");
    }
    assert!(problems("{}").contains("service::pipelines: there is no pipeline"));
    assert!(problems("nonsense: {}").contains("nonsense"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let said = problems(
        &GOOD
            .replacen("check_interval: 1s, ", "", 1)
            .replacen("tempo:4317", "tempo", 1),
    );
    assert_eq!(said.lines().count(), 2, "{said}");
}

fn tempo_collector(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tempo-collector"))
        .args(arguments)
        .output()
        .expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("text"))
}

#[test]
fn the_command_line_checks_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, bad, broken) = (
        write("good", GOOD),
        write("bad", "service: {pipelines: }"),
        write("broken", "a: ["),
    );
    assert_eq!(
        tempo_collector(&["validate", "--config", &good]),
        (true, String::new())
    );
    for (file, expected) in [
        (bad.as_str(), "no pipeline"),
        (broken.as_str(), "line"),
        ("/nowhere", "/nowhere"),
    ] {
        let (succeeded, said) = tempo_collector(&["validate", "--config", file]);
        assert!(!succeeded && said.contains(expected), "{said}");
    }
    // A later file changes an earlier one.
    let patch = write("patch", "exporters: {otlp: {endpoint: nonsense}}");
    let (succeeded, said) = tempo_collector(&["validate", "--config", &good, "--config", &patch]);
    assert!(!succeeded && said.contains("exporters::otlp::endpoint"), "{said}");
    assert!(tempo_collector(&["components"]).1.contains("otlp_http"));
    assert!(tempo_collector(&["version"]).1.starts_with("tempo-collector "));
    assert!(!tempo_collector(&[]).0);
}
