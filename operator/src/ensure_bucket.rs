//! `tempo-operator ensure-bucket`: creates buckets in an S3 server. The bucket Job of a managed MinIO runs it, so that no
//! `mc` image is needed.
//!
//! Not here: what the Job looks like (`minio::build`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::{Certificate, ClientOptions};

/// What MinIO and most S3 servers call their only region.
const REGION: &str = "us-east-1";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// Creates buckets that are not there yet, waiting for the server to come up.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct EnsureBucket {
    /// URL of the S3 server, such as http://minio.observability.svc:9000
    #[arg(long)]
    pub endpoint: url::Url,
    /// Name of a bucket; may be given several times
    #[arg(long = "bucket", required = true)]
    pub buckets: Vec<String>,
    /// PEM file with the CA of the server's certificate
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// Access key
    #[arg(long, env = "S3_ACCESS_KEY", hide_env_values = true)]
    pub access_key: String,
    /// Secret key
    #[arg(long, env = "S3_SECRET_KEY", hide_env_values = true)]
    pub secret_key: String,
    /// How many seconds to wait for the server to answer
    #[arg(long, default_value_t = 120)]
    pub wait: u64,
}

/// A bucket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EnsureBucketError {
    /// The CA file cannot be used.
    #[error("read CA file {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no client for the endpoint.
    #[error("prepare requests to {endpoint}: {reason}")]
    Client {
        /// The server.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The server did not answer, or answered that it cannot now, for as long as we waited.
    #[error("create bucket {bucket} at {endpoint}: {reason}; waited {waited} seconds for it")]
    NotReady {
        /// The bucket.
        bucket: String,
        /// The server.
        endpoint: String,
        /// The last answer.
        reason: String,
        /// For how long.
        waited: u64,
    },
    /// The server refused.
    #[error(
        "create bucket {bucket} at {endpoint}: the server refused with {status}: {answer}; check the keys in the Secret"
    )]
    Refused {
        /// The bucket.
        bucket: String,
        /// The server.
        endpoint: String,
        /// The status code.
        status: u16,
        /// The body of the answer.
        answer: String,
    },
}

/// What became of one request.
enum Attempt {
    Done,
    NotReady(String),
    Refused { status: u16, answer: String },
}

/// Creates the buckets. One that is there already is left as it is.
pub async fn ensure_bucket(arguments: &EnsureBucket) -> Result<(), EnsureBucketError> {
    let client = client(arguments)?;
    for bucket in &arguments.buckets {
        ensure(&client, arguments, bucket).await?;
        tracing::info!(bucket, endpoint = %arguments.endpoint, "bucket exists");
    }
    Ok(())
}

async fn ensure(
    client: &HttpClient,
    arguments: &EnsureBucket,
    bucket: &str,
) -> Result<(), EnsureBucketError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(arguments.wait);
    loop {
        match create(client, arguments, bucket).await? {
            Attempt::Done => return Ok(()),
            Attempt::Refused { status, answer } => {
                return Err(EnsureBucketError::Refused {
                    bucket: bucket.to_owned(),
                    endpoint: arguments.endpoint.to_string(),
                    status,
                    answer,
                });
            }
            Attempt::NotReady(reason) if tokio::time::Instant::now() >= deadline => {
                return Err(EnsureBucketError::NotReady {
                    bucket: bucket.to_owned(),
                    endpoint: arguments.endpoint.to_string(),
                    reason,
                    waited: arguments.wait,
                });
            }
            Attempt::NotReady(reason) => {
                tracing::info!(bucket, reason, "the server is not ready yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn create(
    client: &HttpClient,
    arguments: &EnsureBucket,
    bucket: &str,
) -> Result<Attempt, EnsureBucketError> {
    let request = signed_request(arguments, bucket)?;
    let answer = match client.execute(request).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Attempt::NotReady(error.to_string())),
    };
    let status = answer.status();
    let body = answer.into_body().bytes().await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok(match status.as_u16() {
        200..300 => Attempt::Done,
        409 if text.contains("BucketAlready") => Attempt::Done,
        429 | 500.. => Attempt::NotReady(format!("{status}: {text}")),
        status => Attempt::Refused { status, answer: text },
    })
}

fn signed_request(arguments: &EnsureBucket, bucket: &str) -> Result<HttpRequest, EnsureBucketError> {
    let failed = |reason: String| EnsureBucketError::Client {
        endpoint: arguments.endpoint.to_string(),
        reason,
    };
    let base = arguments.endpoint.as_str().trim_end_matches('/');
    let mut request = http::Request::put(format!("{base}/{bucket}"))
        .body(HttpRequestBody::empty())
        .map_err(|error| failed(error.to_string()))?;
    let credential = AwsCredential {
        key_id: arguments.access_key.clone(),
        secret_key: arguments.secret_key.clone(),
        token: None,
    };
    AwsAuthorizer::new(&credential, "s3", REGION)
        .try_authorize(&mut request, None)
        .map_err(|error| failed(error.to_string()))?;
    Ok(request)
}

fn client(arguments: &EnsureBucket) -> Result<HttpClient, EnsureBucketError> {
    // An earlier installation is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_allow_http(arguments.endpoint.scheme() == "http");
    if let Some(path) = &arguments.ca_file {
        for certificate in certificates(path)? {
            options = options.with_root_certificate(certificate);
        }
    }
    ReqwestConnector::default()
        .connect(&options)
        .map_err(|error| EnsureBucketError::Client {
            endpoint: arguments.endpoint.to_string(),
            reason: error.to_string(),
        })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, EnsureBucketError> {
    let unreadable = |reason: String| EnsureBucketError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() {
        return Err(unreadable("no certificate in it".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(endpoint: &str) -> EnsureBucket {
        EnsureBucket {
            endpoint: endpoint.parse().unwrap(),
            buckets: vec!["traces".to_owned()],
            ca_file: None,
            access_key: "key".to_owned(),
            secret_key: "secret".to_owned(),
            wait: 0,
        }
    }

    #[test]
    fn requests_are_signed_and_do_not_show_the_secret() {
        let request = signed_request(&arguments("http://127.0.0.1:9000/"), "traces").unwrap();
        assert_eq!(request.uri().path(), "/traces");
        let signature = request.headers()["authorization"].to_str().unwrap();
        assert!(signature.contains("Credential=key/"), "{signature}");
        assert!(!signature.contains("secret"), "{signature}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        // Nothing listens on the discard port of loopback.
        let error = ensure_bucket(&arguments("http://127.0.0.1:9")).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("create bucket traces at http://127.0.0.1:9"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_ca_file_that_is_missing_is_named() {
        let arguments = EnsureBucket {
            ca_file: Some("/none/ca.crt".into()),
            ..arguments("https://127.0.0.1:9")
        };
        let error = ensure_bucket(&arguments).await.unwrap_err().to_string();
        assert!(error.contains("/none/ca.crt"), "{error}");
    }
}
