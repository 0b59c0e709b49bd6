//! No text makes the loader panic, and what it loads it loads again from what it shows.

use proptest::prelude::*;
use tempo_config::{Arguments, GoDuration, load, load_overrides};

use crate::edits::edited_text;

const FILES: &[&str] = &[
    "target: all\nserver: {http_listen_port: 3200, log_level: warn}\nstorage:\n  trace:\n    backend: s3\n    s3: {bucket: b, endpoint: 'minio:9000', insecure: true}\n    wal: {path: /var/tempo/wal}\n",
    "distributor:\n  receivers:\n    otlp:\n      protocols:\n        grpc:\n        http: {endpoint: '0.0.0.0:4318'}\ncompactor: {compaction: {block_retention: 48h}}\n",
    "live_store: {max_block_duration: 5m, wal: {path: x}}\noverrides: {defaults: {ingestion: {rate_limit_bytes: 15000000}}}\nmemberlist: {join_members: [a, 'b:7946']}\n",
    "overrides: {max_traces_per_user: 10, ingestion_rate_limit_bytes: ${LIMIT:-5}}\nunknown: [{a: *x}, &x 1]\n",
];

proptest! {
    #[test]
    fn fuzz_configuration(text in edited_text(FILES)) {
        let arguments = Arguments::default();
        if let Ok(loaded) = load(&text, &arguments, |_| None) {
            let shown = serde_yaml::to_string(&loaded.config).expect("show what was loaded");
            let again = load(&shown, &arguments, |_| None).expect("load what was shown");
            prop_assert_eq!(again.config, loaded.config);
        }
    }

    #[test]
    fn fuzz_overrides(text in edited_text(&["overrides:\n  a: {ingestion: {rate_limit_bytes: 1}}\n  'b*': {max_bytes_per_trace: 2}\n"])) {
        let _ = load_overrides(&text);
    }

    #[test]
    fn fuzz_durations(text in edited_text(&["1h30m", "-1.5s", "300ms", "2us", "1d"])) {
        if let Ok(duration) = text.parse::<GoDuration>() {
            prop_assert_eq!(duration.to_string().parse().ok(), Some(duration));
        }
    }
}
