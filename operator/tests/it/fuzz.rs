//! No manifest makes the operator panic: it is built, or refused with a reason.

use proptest::prelude::*;
use tempo_operator::manifest::Manifests;
use tempo_operator::{render, validate};

use crate::edits::edited_text;
use crate::samples::environment;

proptest! {
    #[test]
    fn fuzz_manifests(text in edited_text(&[
        include_str!("../../../config/samples/tempostack-s3.yaml"),
        include_str!("../../../config/samples/tempostack-minio.yaml"),
        include_str!("../../../config/samples/collector-gateway.yaml"),
    ])) {
        match Manifests::parse("fuzz.yaml", &text) {
            Ok(manifests) => {
                let report = validate::report(&manifests, &environment());
                let rendered = render::render(&manifests, &environment());
                // What is not there is taken to be right, but cannot be rendered.
                let is_complete = !report.text.contains("is not among the files");
                prop_assert!(
                    report.invalid > 0 || !is_complete || rendered.is_ok(),
                    "valid, and cannot be rendered: {:?}",
                    rendered
                );
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
