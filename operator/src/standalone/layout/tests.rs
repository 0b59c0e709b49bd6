//! From files to processes, on the samples and on what cannot be run.

use super::*;

const COLLECTOR: &str = "
apiVersion: tempo.grafana.com/v1alpha1
kind: Collector
metadata: {name: edge}
spec:
  config:
    receivers: {otlp: {protocols: {grpc: {}, http: {}}}}
    exporters: {debug: {}}
    service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
";

/// Published ports below the inner ones and below what Linux gives to outgoing connections, another range for every test.
fn ports(test: u16) -> Ports {
    Ports::new(10_000 + 50 * test)
}

async fn laid_out(text: &str, ports: &mut Ports) -> Result<Layout, LayoutError> {
    laid_out_with(text, ports, Path::new("/data"), &Programs::default()).await
}

async fn laid_out_with(
    text: &str,
    ports: &mut Ports,
    data: &Path,
    programs: &Programs,
) -> Result<Layout, LayoutError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yaml");
    std::fs::write(&file, text).unwrap();
    let environment = Environment::from_variables(|_| None).unwrap();
    layout(&[file], data, ports, &environment, programs).await
}

fn stack(name: &str, storage: &str) -> String {
    format!(
        "---\napiVersion: tempo.grafana.com/v1alpha1\nkind: TempoStack\nmetadata: {{name: {name}}}\nspec: {{storage: {storage}}}\n"
    )
}

fn placed<'a>(layout: &'a Layout, name: &str) -> &'a Placed {
    let found = layout.processes.iter().find(|placed| placed.process.name == name);
    found.unwrap_or_else(|| panic!("no process {name}"))
}

#[tokio::test]
async fn the_quickstart_is_published_on_the_documented_ports() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/quickstart");
    let environment = Environment::from_variables(|_| None).unwrap();
    let layout = layout(
        &[folder],
        Path::new("/data"),
        &mut ports(0),
        &environment,
        &Programs::default(),
    )
    .await
    .unwrap();
    let names: Vec<&str> = layout
        .processes
        .iter()
        .map(|placed| placed.process.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "tempo-quickstart-ingester-0",
            "tempo-quickstart-compactor-0",
            "tempo-quickstart-querier-0",
            "tempo-quickstart-distributor-0",
            "tempo-quickstart-query-frontend-0",
            "quickstart-collector-0",
        ]
    );
    assert_eq!(
        placed(&layout, "tempo-quickstart-query-frontend-0").addresses,
        ["http://127.0.0.1:13200"]
    );
    let collector = placed(&layout, "quickstart-collector-0");
    assert_eq!(
        collector.addresses,
        ["127.0.0.1:14317 (gRPC)", "http://127.0.0.1:14318"]
    );
    assert!(
        collector
            .needs
            .contains(&"tempo-quickstart-query-frontend-0".to_owned())
    );
    assert!(
        !collector
            .needs
            .contains(&"tempo-quickstart-compactor-0".to_owned())
    );
    assert!(layout.notes[0].contains("blocks lie in /data/storage/default.quickstart in MinIO's place"));
}

#[tokio::test]
async fn without_a_collector_the_stack_itself_takes_spans_in() {
    let text = stack("a", "{minio: {}}") + &stack("b", "{secret: {name: bucket, type: s3}}");
    let mut ports = ports(1);
    let first = laid_out(&text, &mut ports).await.unwrap();
    let (of_a, of_b) = (
        placed(&first, "tempo-a-distributor-0"),
        placed(&first, "tempo-b-distributor-0"),
    );
    assert_eq!(
        of_a.addresses,
        ["http://127.0.0.1:14368", "127.0.0.1:14367 (gRPC)"]
    );
    assert_ne!(
        of_a.addresses, of_b.addresses,
        "the second stack is somewhere else"
    );
    assert!(
        first.notes[1].contains("as Secret \"bucket\" is not among the files"),
        "{:?}",
        first.notes
    );
    let second = laid_out(&text, &mut ports).await.unwrap();
    assert_eq!(
        first.processes, second.processes,
        "the same again keeps its ports"
    );
}

#[tokio::test]
async fn a_store_that_does_not_answer_gives_way_to_a_folder() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: bucket}\nstringData: \
        {endpoint: 'http://127.0.0.1:9', bucket: b, access_key_id: i, access_key_secret: s}\n";
    let text = stack("a", "{secret: {name: bucket, type: s3}}") + secret;
    let layout = laid_out(&text, &mut ports(2)).await.unwrap();
    assert!(
        layout.notes[0].contains("127.0.0.1:9 does not answer"),
        "{:?}",
        layout.notes
    );
    let file = "/data/pods/tempo-a-ingester-0/conf/tempo.yaml";
    assert!(placed(&layout, "tempo-a-ingester-0").process.files[file].contains("/data/storage/default.a"));
}

#[tokio::test]
async fn a_collector_alone_needs_nobody() {
    let layout = laid_out(COLLECTOR, &mut ports(3)).await.unwrap();
    assert_eq!(placed(&layout, "edge-collector-0").needs, Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_run_is_said() {
    let variable = COLLECTOR.replace(
        "  config:",
        "  env: [{name: KEY, valueFrom: {secretKeyRef: {name: vendor, key: api-key}}}]\n  config:",
    );
    let error = laid_out(&variable, &mut ports(4)).await.unwrap_err().to_string();
    for part in [
        "Collector default/edge",
        "pod edge-collector-0",
        "KEY",
        "key \"api-key\" of Secret \"vendor\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let unknown = COLLECTOR.replace("exporters: [debug]", "exporters: [other]");
    let error = laid_out(&unknown, &mut ports(5)).await.unwrap_err().to_string();
    assert!(
        error.contains("\"other\" is not defined under exporters"),
        "{error}"
    );
}

#[tokio::test]
async fn a_minio_at_hand_starts_first_and_gets_its_buckets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("minio"), "").unwrap();
    let programs = Programs::of(&[folder.path()]);
    let mut ports = ports(6);
    let layout = laid_out_with(&stack("a", "{minio: {}}"), &mut ports, folder.path(), &programs)
        .await
        .unwrap();
    assert!(
        layout
            .notes
            .iter()
            .any(|note| note.contains("in the MinIO that runs here")),
        "{:?}",
        layout.notes
    );
    let [minio, buckets, rest @ ..] = layout.processes.as_slice() else {
        panic!("{:?}", layout.processes)
    };
    assert_eq!(minio.process.name, "tempo-a-minio-0");
    assert_eq!(minio.needs, Vec::<String>::new());
    assert!(buckets.process.once, "{buckets:?}");
    assert_eq!(buckets.needs, ["tempo-a-minio-0"]);
    assert_eq!(rest.len(), 5);
    for placed in rest {
        assert_eq!(
            placed.needs,
            std::slice::from_ref(&buckets.process.name),
            "{}",
            placed.process.name
        );
    }
    let address = &minio.process.environment["MINIO_ADDRESS"];
    assert!(
        buckets
            .process
            .command
            .contains(&format!("--endpoint=http://{address}")),
        "{:?}",
        buckets.process.command
    );
    let ingester = &placed(&layout, "tempo-a-ingester-0").process;
    let (_, config) = ingester
        .files
        .iter()
        .find(|(path, _)| path.ends_with("/tempo.yaml"))
        .unwrap();
    assert!(config.contains(address.as_str()), "{config}");
    let password = &minio.process.environment["MINIO_ROOT_PASSWORD"];
    assert_eq!(password.len(), 32);
    let again = laid_out_with(&stack("a", "{minio: {}}"), &mut ports, folder.path(), &programs)
        .await
        .unwrap();
    assert_eq!(again.processes, layout.processes, "the password is kept");
}

#[tokio::test]
async fn a_minio_with_a_certificate_gives_way_to_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("minio"), "").unwrap();
    let text = stack("a", "{minio: {tls: {enabled: true, certName: minio-tls}}}");
    let layout = laid_out_with(
        &text,
        &mut ports(7),
        folder.path(),
        &Programs::of(&[folder.path()]),
    )
    .await
    .unwrap();
    assert!(
        layout
            .notes
            .iter()
            .any(|note| note.contains("its certificate is not one for this machine")),
        "{:?}",
        layout.notes
    );
    assert!(
        layout
            .processes
            .iter()
            .all(|placed| !placed.process.once && !placed.process.is_minio())
    );
}

#[tokio::test]
async fn clouds_other_than_s3_give_way_to_a_folder() {
    for (test, kind, data) in [
        (8, "azure", "{container: c, account_name: n, account_key: k}"),
        (9, "gcs", "{bucketname: b, key.json: '{}'}"),
    ] {
        let secret =
            format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: bucket}}\nstringData: {data}\n");
        let text = stack("a", &format!("{{secret: {{name: bucket, type: {kind}}}}}")) + &secret;
        let layout = laid_out(&text, &mut ports(test)).await.unwrap();
        assert!(
            layout
                .notes
                .iter()
                .any(|note| note.contains("/data/storage/default.a")
                    && note.contains(&format!("as {kind} is not used from here"))),
            "{:?}",
            layout.notes
        );
    }
}
