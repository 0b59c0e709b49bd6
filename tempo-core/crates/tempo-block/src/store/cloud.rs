//! Clients of the clouds' stores. Retries and time limits are set here, not left to the library's defaults.

use std::path::Path;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::client::{TlsConnector, read};
use super::settings::{AzureSettings, GcsSettings, RequestLimits, S3Credentials, S3Settings};
use super::{Problem, StoreError};

pub(super) fn s3(settings: &S3Settings) -> Result<AmazonS3, StoreError> {
    require(&settings.bucket, "s3", "bucket")?;
    let endpoint = endpoint_url(&settings.endpoint, settings.insecure);
    let plain = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    let mut options = client_options(settings.limits).with_allow_http(plain);
    if settings.tls.skip_certificate_check {
        options = options.with_allow_invalid_certificates(true);
    }
    if let Some(file) = &settings.tls.ca_file {
        for certificate in certificates(file)? {
            options = options.with_root_certificate(certificate);
        }
    }
    // Only ambient credentials come from the environment: what the configuration says is not to be overridden by it.
    let mut builder = match &settings.credentials {
        S3Credentials::Surroundings => AmazonS3Builder::from_env(),
        S3Credentials::Static {
            access_key,
            secret_key,
            session_token,
        } => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(access_key)
                .with_secret_access_key(secret_key);
            if session_token.is_empty() {
                builder
            } else {
                builder.with_token(session_token)
            }
        }
    };
    if let Some(url) = endpoint {
        builder = builder.with_endpoint(url);
    }
    // Without one the surroundings decide (`AWS_REGION`), and then us-east-1.
    if !settings.region.is_empty() {
        builder = builder.with_region(&settings.region);
    }
    if let Some(connector) = TlsConnector::of(&settings.tls, settings.limits)? {
        builder = builder.with_http_connector(connector);
    }
    builder
        .with_bucket_name(&settings.bucket)
        .with_virtual_hosted_style_request(settings.virtual_hosted_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(options)
        .with_retry(retries(settings.limits))
        .build()
        .map_err(|source| StoreError::explain("open", &format!("s3 bucket {}", settings.bucket), source))
}

pub(super) fn gcs(settings: &GcsSettings) -> Result<GoogleCloudStorage, StoreError> {
    require(&settings.bucket, "gcs", "bucket_name")?;
    let (plain, limits) = (settings.endpoint.starts_with("http://"), RequestLimits::default());
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&settings.bucket)
        .with_client_options(client_options(limits).with_allow_http(plain))
        .with_retry(retries(limits));
    if !settings.endpoint.is_empty() {
        builder = builder.with_base_url(&settings.endpoint);
    }
    if let Some(file) = &settings.service_account_file {
        builder = builder.with_service_account_path(file.to_string_lossy());
    }
    builder
        .build()
        .map_err(|source| StoreError::explain("open", &format!("gcs bucket {}", settings.bucket), source))
}

pub(super) fn azure(settings: &AzureSettings) -> Result<MicrosoftAzure, StoreError> {
    require(&settings.container, "azure", "container_name")?;
    require(&settings.account, "azure", "storage_account_name")?;
    let (plain, limits) = (settings.endpoint.starts_with("http://"), RequestLimits::default());
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_account(&settings.account)
        .with_container_name(&settings.container)
        .with_client_options(client_options(limits).with_allow_http(plain))
        .with_retry(retries(limits));
    if !settings.key.is_empty() {
        builder = builder.with_access_key(&settings.key);
    }
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(settings.endpoint.clone());
    }
    builder.build().map_err(|source| {
        StoreError::explain("open", &format!("azure container {}", settings.container), source)
    })
}

fn client_options(limits: RequestLimits) -> ClientOptions {
    // Clients are built without a provider of their own; whoever comes first decides for the process, and all of ours
    // decide for ring, so an earlier installation is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientOptions::new()
        .with_connect_timeout(limits.connect_timeout)
        .with_timeout(limits.request_timeout)
}

fn retries(limits: RequestLimits) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    };
    RetryConfig {
        backoff,
        max_retries: limits.max_retries,
        retry_timeout: limits.retry_timeout,
    }
}

/// The scheme that the endpoint names wins; one that names none is HTTPS unless `insecure`.
fn endpoint_url(endpoint: &str, insecure: bool) -> Option<String> {
    if endpoint.is_empty() {
        None
    } else if endpoint.contains("://") {
        Some(endpoint.to_owned())
    } else {
        Some(format!(
            "{}://{endpoint}",
            if insecure { "http" } else { "https" }
        ))
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, StoreError> {
    Certificate::from_pem_bundle(&read(file)?).map_err(|error| StoreError::file(file, error))
}

fn require(value: &str, store: &str, key: &'static str) -> Result<(), StoreError> {
    if value.is_empty() {
        let what = format!("storage.trace.{store}.{key}");
        return Err(StoreError::Store {
            operation: "open",
            what,
            problem: Problem::Setting,
            source: None,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_the_endpoint_wins() {
        assert_eq!(
            endpoint_url("minio:9000", true).as_deref(),
            Some("http://minio:9000")
        );
        assert_eq!(
            endpoint_url("minio:9000", false).as_deref(),
            Some("https://minio:9000")
        );
        assert_eq!(
            endpoint_url("https://minio:9000", true).as_deref(),
            Some("https://minio:9000")
        );
        assert_eq!(endpoint_url("", true), None);
    }

    #[test]
    fn a_missing_bucket_names_its_key() {
        let error = s3(&S3Settings::default()).unwrap_err().to_string();
        assert!(error.contains("storage.trace.s3.bucket"), "{error}");
    }
}
