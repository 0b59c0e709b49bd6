//! What the command line and the configuration file may say, and what happens when they are wrong.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::support::{errors, run};

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_file(text: &str, more: &[&str]) -> std::process::Output {
    let file = file(text);
    let flag = format!("-config.file={}", file.path().display());
    let words: Vec<&str> = more.iter().copied().chain([flag.as_str()]).collect();
    run(&words)
}

#[test]
fn a_wrong_value_ends_with_its_place_in_the_file() {
    let output = with_file("server:\n  http_listen_port: many\n", &["-target=all"]);
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1));
    for part in ["server.http_listen_port", "line 2", "column"] {
        assert!(errors.contains(part), "{part} is missing in: {errors}");
    }
}

#[test]
fn unknown_keys_are_warned_about_and_do_no_harm() {
    let output = with_file(
        "ingester: {override_ring_key: ring}\nfoo: 1\n",
        &["--config.verify"],
    );
    assert!(output.status.success());
    let warnings = errors(&output);
    assert!(
        warnings.contains("foo: not known") && warnings.contains("ingester.override_ring_key"),
        "{warnings}"
    );
}

#[test]
fn flags_win_over_the_file_and_mistakes_in_them_are_named() {
    for (words, part) in [
        (vec!["-target=ingster"], "ingster"),
        (vec!["-target=metrics-generator"], "not built yet"),
        (vec!["-server.http-listen-port=x"], "-server.http-listen-port=x"),
        (vec!["-config.file=/none/tempo.yaml"], "/none/tempo.yaml"),
        (vec!["-log.level=loud"], "loud"),
        (vec!["-log.format=xml"], "xml"),
        (vec!["all"], "unrecognized subcommand"),
    ] {
        let output = run(&words);
        assert!(!output.status.success(), "{words:?}");
        assert!(errors(&output).contains(part), "{words:?}: {}", errors(&output));
    }
    let output = with_file("target: nothing\n", &["-target=querier", "-config.verify=true"]);
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn version_and_help_are_printed() {
    for word in ["-version", "--version", "version"] {
        let output = run(&[word]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains(env!("CARGO_PKG_VERSION")));
    }
    for word in ["-help", "--help", "-h", "help"] {
        let output = run(&[word]);
        assert!(output.status.success());
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(help.contains("-config.file") && help.contains("demo"), "{help}");
    }
}
