use super::*;

fn secret(fields: &[(&str, &str)]) -> SecretData {
    fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn parse_error(kind: StorageSecretType, mode: Option<CredentialMode>, fields: &[(&str, &str)]) -> String {
    parse(kind, mode, &secret(fields)).unwrap_err().to_string()
}

const S3_KEYS: [(&str, &str); 4] = [
    ("endpoint", "http://minio.shop:9000"),
    ("bucket", "traces"),
    ("access_key_id", "id"),
    ("access_key_secret", "secret"),
];

#[test]
fn the_scheme_of_an_s3_endpoint_decides_about_tls() {
    for (endpoint, host, insecure) in [
        ("http://minio.shop:9000", "minio.shop:9000", true),
        ("https://minio.shop:9000", "minio.shop:9000", false),
        ("https://s3.example.org/", "s3.example.org", false),
        ("http://[::1]:9000\n", "[::1]:9000", true),
    ] {
        let mut fields = S3_KEYS;
        fields[0].1 = endpoint;
        let StorageAccess::S3(access) = parse(StorageSecretType::S3, None, &secret(&fields)).unwrap() else {
            panic!("an S3 secret gives S3 access")
        };
        assert_eq!(
            (access.endpoint.as_str(), access.insecure),
            (host, insecure),
            "{endpoint}"
        );
    }
}

#[test]
fn every_missing_key_of_s3_is_named() {
    for (missing, _) in S3_KEYS {
        let fields: Vec<_> = S3_KEYS.into_iter().filter(|(key, _)| *key != missing).collect();
        let expected = format!("storage secret must contain \"{missing}\" field");
        assert_eq!(parse_error(StorageSecretType::S3, None, &fields), expected);
    }
}

#[test]
fn an_endpoint_needs_a_scheme() {
    for endpoint in ["minio:9000", "minio", "ftp://minio", "http://"] {
        let mut fields = S3_KEYS;
        fields[0].1 = endpoint;
        let message = parse_error(StorageSecretType::S3, None, &fields);
        assert_eq!(
            message, "\"endpoint\" field of storage secret must be a valid URL",
            "{endpoint}"
        );
    }
}

#[test]
fn the_keys_of_s3_tell_the_credential_mode() {
    let role = [
        ("bucket", "traces"),
        ("region", "eu-west-1"),
        ("role_arn", "arn:aws:iam::1:role/traces"),
    ];
    let StorageAccess::S3(access) = parse(StorageSecretType::S3, None, &secret(&role)).unwrap() else {
        panic!("an S3 secret gives S3 access")
    };
    assert_eq!(access.endpoint, "s3.eu-west-1.amazonaws.com");
    assert!(matches!(access.credentials, S3Credentials::Role { .. }));

    let mixed: Vec<_> = S3_KEYS.into_iter().chain([("region", "eu-west-1")]).collect();
    let message = parse_error(StorageSecretType::S3, None, &mixed);
    assert_eq!(
        message,
        "storage secret contains fields for long lived and short lived configuration"
    );
    let message = parse_error(StorageSecretType::S3, Some(CredentialMode::Token), &role[..2]);
    assert_eq!(message, "storage secret must contain \"role_arn\" field");
}

#[test]
fn azure_takes_a_key_or_a_federated_identity() {
    let keys = [
        ("container", "traces"),
        ("account_name", "shop"),
        ("account_key", "secret"),
    ];
    let StorageAccess::Azure(access) = parse(StorageSecretType::Azure, None, &secret(&keys)).unwrap() else {
        panic!("an Azure secret gives Azure access")
    };
    assert_eq!(access.credentials, AzureCredentials::AccountKey);

    let message = parse_error(StorageSecretType::Azure, None, &keys[..2]);
    assert_eq!(message, "storage secret must contain \"account_key\" field");
    let message = parse_error(StorageSecretType::Azure, Some(CredentialMode::TokenCco), &keys);
    assert_eq!(message, "not supported by azure secret credential mode");
    let message = parse_error(
        StorageSecretType::Azure,
        None,
        &[("container", "traces"), ("tenant_id", "t")],
    );
    assert_eq!(message, "storage secret must contain \"account_name\" field");
}

#[test]
fn gcs_reads_its_key_file() {
    let key = r#"{"type": "service_account"}"#;
    let fields = [("bucketname", "traces"), ("key.json", key)];
    let StorageAccess::Gcs(access) = parse(StorageSecretType::Gcs, None, &secret(&fields)).unwrap() else {
        panic!("a GCS secret gives GCS access")
    };
    assert_eq!(
        access,
        GcsAccess {
            bucket: "traces".to_owned(),
            token_audience: None
        }
    );

    assert_eq!(
        parse_error(StorageSecretType::Gcs, None, &fields[..1]),
        "missing secret field key.json"
    );
    let message = parse_error(StorageSecretType::Gcs, None, &[("key.json", "{")]);
    assert_eq!(message, "gcp storage secret cannot be parsed from JSON content");
    let message = parse_error(
        StorageSecretType::Gcs,
        None,
        &[("key.json", r#"{"type": "external_account"}"#)],
    );
    assert_eq!(
        message,
        "credential source in secret needs to point to token file"
    );
}
