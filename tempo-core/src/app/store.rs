//! The object store that the configuration names: opened, and looked at until it works.

use std::path::PathBuf;
use std::time::Duration;

use tempo_block::read::{BlockCache, CacheSettings, DiskCacheSettings};
use tempo_block::store::{
    self, AzureSettings, GcsSettings, RequestLimits, S3Credentials, S3Settings, Settings, Store, StoreError,
    TlsSettings,
};
use tempo_config::{AzureStorage, Backend, GcsStorage, S3Storage, TraceStorage};
use tempo_runtime::Environment;

use super::Readiness;

/// How long to wait after a look at the store that failed: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What Azure's names end in where the configuration does not say.
const AZURE_SUFFIX: &str = "blob.core.windows.net";

/// How the configuration names the newest version of TLS.
const TLS_1_3: &str = "VersionTLS13";

/// The settings of the store that the configuration names.
pub fn settings(storage: &TraceStorage) -> Settings {
    match storage.backend {
        Backend::Local => Settings::Local {
            folder: PathBuf::from(&storage.local.path),
        },
        Backend::S3 => Settings::S3(s3(&storage.s3)),
        Backend::Gcs => Settings::Gcs(gcs(&storage.gcs)),
        Backend::Azure => Settings::Azure(azure(&storage.azure)),
    }
}

fn s3(s3: &S3Storage) -> S3Settings {
    let credentials = if s3.access_key.is_empty() && s3.secret_key.is_empty() {
        S3Credentials::Surroundings
    } else {
        S3Credentials::Static {
            access_key: s3.access_key.clone(),
            secret_key: s3.secret_key.clone(),
            session_token: s3.session_token.clone(),
        }
    };
    S3Settings {
        endpoint: s3.endpoint.clone(),
        bucket: s3.bucket.clone(),
        prefix: s3.prefix.clone(),
        region: s3.region.clone(),
        credentials,
        insecure: s3.insecure,
        virtual_hosted_style: s3.forcepathstyle == Some(false),
        tls: TlsSettings {
            ca_file: file(&s3.tls_ca_path),
            client_certificate: file(&s3.tls_cert_path).zip(file(&s3.tls_key_path)),
            only_tls_1_3: s3.tls_min_version == TLS_1_3,
            skip_certificate_check: s3.tls_insecure_skip_verify,
        },
        limits: RequestLimits::default(),
    }
}

/// Settings of the store that do not have the effect that their writer may expect.
pub fn warnings(storage: &TraceStorage) -> Vec<String> {
    let s3 = &storage.s3;
    let said = [
        (
            s3.tls_cert_path.is_empty() != s3.tls_key_path.is_empty(),
            "tls_cert_path and tls_key_path: one of them is empty, so no client certificate is shown; set both",
        ),
        (
            !s3.tls_server_name.is_empty(),
            "tls_server_name: not supported; the certificate must have the name of the endpoint",
        ),
        (
            !["", "VersionTLS10", "VersionTLS11", "VersionTLS12", TLS_1_3]
                .contains(&s3.tls_min_version.as_str()),
            "tls_min_version: not known, TLS 1.2 is the lowest; give VersionTLS12 or VersionTLS13",
        ),
    ];
    let of_s3 = said
        .into_iter()
        .filter(|(is_so, _)| *is_so && storage.backend == Backend::S3);
    of_s3
        .map(|(_, text)| format!("storage.trace.s3.{text}"))
        .collect()
}

fn gcs(gcs: &GcsStorage) -> GcsSettings {
    GcsSettings {
        bucket: gcs.bucket_name.clone(),
        prefix: gcs.prefix.clone(),
        endpoint: with_scheme(&gcs.endpoint, gcs.insecure),
        service_account_file: None,
    }
}

fn azure(azure: &AzureStorage) -> AzureSettings {
    let endpoint = match azure.endpoint_suffix.as_str() {
        "" | AZURE_SUFFIX => String::new(),
        suffix => format!("https://{}.{suffix}", azure.storage_account_name),
    };
    AzureSettings {
        account: azure.storage_account_name.clone(),
        key: azure.storage_account_key.clone(),
        container: azure.container_name.clone(),
        prefix: azure.prefix.clone(),
        endpoint,
    }
}

/// The path of a file; `None` when it is not given.
fn file(path: &str) -> Option<PathBuf> {
    (!path.is_empty()).then(|| PathBuf::from(path))
}

fn with_scheme(endpoint: &str, insecure: bool) -> String {
    if endpoint.is_empty() || endpoint.contains("://") {
        return endpoint.to_owned();
    }
    let scheme = if insecure { "http" } else { "https" };
    format!("{scheme}://{endpoint}")
}

/// What queries keep of blocks. A folder that cannot be used is said, and done without.
pub async fn block_cache(environment: &Environment, settings: &tempo_config::BlockCache) -> BlockCache {
    let third = settings.memory_bytes / 3;
    let in_memory = BlockCache::new(CacheSettings {
        metadata_bytes: third,
        chunk_bytes: third,
        decoded_bytes: third,
    });
    let Some(folder) = file(&settings.disk_path) else {
        return in_memory;
    };
    let on_disk = DiskCacheSettings {
        folder,
        max_bytes: settings.disk_bytes,
    };
    match in_memory.clone().with_disk(environment, on_disk).await {
        Ok(cache) => cache,
        Err(error) => {
            tracing::warn!(%error, "storage.trace.block_cache.disk_path has no effect");
            in_memory
        }
    }
}

/// Looks at the store until it works. Until then the process is not ready and says why; it does not end, as a bucket
/// that is away now may be there in a minute.
pub async fn wait_for(environment: &Environment, opened: &Store, readiness: &Readiness) {
    let mut pause = FIRST_PAUSE;
    readiness.blocked("store", "it is being looked at");
    while let Err(error) = store::probe(environment, opened).await {
        report(&error, pause, readiness);
        environment.clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    readiness.ready("store");
}

fn report(error: &StoreError, pause: Duration, readiness: &Readiness) {
    tracing::error!(%error, again_in = ?pause, "the store cannot be worked with");
    readiness.blocked("store", error.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Settings {
        let loaded = tempo_config::load(text, &tempo_config::Arguments::default(), |_| None).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        settings(&loaded.config.storage.trace)
    }

    #[test]
    fn without_a_word_blocks_lie_in_the_local_folder() {
        let folder = PathBuf::from("/var/tempo/traces");
        assert_eq!(of(""), Settings::Local { folder });
    }

    #[test]
    fn s3_is_signed_by_its_keys_or_by_the_surroundings() {
        let text = "storage: {trace: {backend: s3, s3: {endpoint: 'minio:9000', bucket: tempo, prefix: p, \
                    access_key: a, secret_key: s, insecure: true}}}";
        let Settings::S3(s3) = of(text) else {
            panic!("not S3");
        };
        assert_eq!(
            (s3.endpoint.as_str(), s3.bucket.as_str()),
            ("minio:9000", "tempo")
        );
        assert!(s3.insecure && !s3.virtual_hosted_style && s3.tls.ca_file.is_none());
        assert!(matches!(s3.credentials, S3Credentials::Static { ref access_key, .. } if access_key == "a"));
        let Settings::S3(s3) = of("storage: {trace: {backend: s3, s3: {bucket: b, forcepathstyle: false}}}")
        else {
            panic!("not S3");
        };
        assert_eq!(s3.credentials, S3Credentials::Surroundings);
        assert!(s3.virtual_hosted_style);
    }

    #[test]
    fn tls_settings_of_s3_have_an_effect_or_are_a_warning() {
        let text = "storage: {trace: {backend: s3, s3: {bucket: b, tls_cert_path: c.pem, tls_key_path: k.pem, \
                    tls_min_version: VersionTLS13}}}";
        let Settings::S3(s3) = of(text) else {
            panic!("not S3");
        };
        let files = (PathBuf::from("c.pem"), PathBuf::from("k.pem"));
        assert_eq!(s3.tls.client_certificate, Some(files));
        assert!(s3.tls.only_tls_1_3);
        let said = |text: &str| {
            let loaded = tempo_config::load(text, &tempo_config::Arguments::default(), |_| None).unwrap();
            warnings(&loaded.config.storage.trace)
        };
        assert_eq!(said(text), Vec::<String>::new());
        let without_effect = said(
            "storage: {trace: {backend: s3, s3: {bucket: b, tls_cert_path: c.pem, tls_server_name: n, \
             tls_min_version: '1.3'}}}",
        );
        let keys = ["tls_cert_path", "tls_server_name", "tls_min_version"];
        assert_eq!(without_effect.len(), keys.len());
        for (warning, key) in without_effect.iter().zip(keys) {
            assert!(
                warning.starts_with(&format!("storage.trace.s3.{key}")),
                "{warning}"
            );
        }
    }

    #[test]
    fn other_endpoints_of_gcs_and_azure_become_urls() {
        let gcs =
            of("storage: {trace: {backend: gcs, gcs: {bucket_name: b, endpoint: 'fake:1', insecure: true}}}");
        assert!(matches!(gcs, Settings::Gcs(gcs) if gcs.endpoint == "http://fake:1" && gcs.bucket == "b"));
        let azure = of(
            "storage: {trace: {backend: azure, azure: {storage_account_name: acc, \
                        container_name: c, endpoint_suffix: blob.core.chinacloudapi.cn}}}",
        );
        let Settings::Azure(azure) = azure else {
            panic!("not Azure");
        };
        assert_eq!(azure.endpoint, "https://acc.blob.core.chinacloudapi.cn");
    }
}
