//! Every sample goes through the front door: file → resource → validated → objects.

use std::path::{Path, PathBuf};

use tempo_operator::{environment::Environment, manifest::Manifests, render, validate};

use crate::repository;

/// The samples that are applied together: each file, and each folder.
pub(crate) fn samples() -> Vec<PathBuf> {
    let folder = repository().join("config/samples");
    let mut samples: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    samples.sort();
    samples
}

fn name(sample: &Path) -> String {
    sample.file_stem().unwrap().to_string_lossy().into_owned()
}

pub(crate) fn environment() -> Environment {
    Environment::from_variables(|name| (name == "OPERATOR_IMAGE").then(|| "tempo-rs:sample".to_owned()))
        .unwrap()
}

#[test]
fn every_sample_is_valid_and_builds_what_it_did() {
    let samples = samples();
    assert!(samples.len() >= 4, "{samples:?}");
    for sample in samples {
        let manifests = Manifests::read(std::slice::from_ref(&sample))
            .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
        let report = validate::report(&manifests, &environment());
        assert_eq!(report.invalid, 0, "{}", report.text);
        let rendered = render::render(&manifests, &environment())
            .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
        insta::assert_snapshot!(name(&sample), rendered.text);
    }
}

#[test]
fn rendered_configuration_loads_without_a_warning() {
    for sample in samples() {
        let manifests = Manifests::read(std::slice::from_ref(&sample)).unwrap();
        let rendered = render::render(&manifests, &environment()).unwrap().text;
        let documents = Manifests::parse("rendered", &rendered).unwrap();
        for data in documents.config_maps.values() {
            let files = data.iter().filter(|(file, _)| file.starts_with("tempo"));
            for (file, text) in files {
                let mut loaded = tempo_config::load(text, &tempo_config::Arguments::default(), |_| None)
                    .unwrap_or_else(|error| panic!("{}: {file}: {error}", sample.display()));
                // What a size stands for is written down although the engine cannot do it yet, and says so.
                loaded
                    .warnings
                    .retain(|warning| !warning.contains("replication is not built yet"));
                assert_eq!(
                    loaded.warnings,
                    Vec::<String>::new(),
                    "{}: {file}",
                    sample.display()
                );
            }
        }
    }
}
