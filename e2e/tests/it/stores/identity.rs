//! Credentials that are not in the configuration: a web identity that MinIO exchanges for keys, and none at all.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use e2e::{Engine, Minio};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tls::{Authority, minio_over_tls};

/// MinIO knows clients of the provider by this name, and makes the name of the role from it: the URL-safe base64 of its
/// SHA-1 sum.
const CLIENT: &str = "tempo";
const ROLE: &str = "arn:minio:iam:::role/ZeM24gxQQ5bpHUL1X2aFYMAXbB0";

/// Where a cloud's machine would say who it is, nobody listens: nothing leaves this machine.
const NO_MACHINE: (&str, &str) = ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1");

/// An OpenID provider on loopback.
struct Provider {
    address: String,
    key: KeyPair,
    folder: TempDir,
}

impl Provider {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let discovery = json!({
            "issuer": format!("http://{address}"),
            "jwks_uri": format!("http://{address}/keys"),
        });
        let keys = public_keys(&key)?;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Who hangs up gets no answer.
                let _ = answer(client, &discovery, &keys).await;
            }
        });
        Ok(Self {
            address,
            key,
            folder: tempfile::tempdir()?,
        })
    }

    fn discovery_url(&self) -> String {
        format!("http://{}/.well-known/openid-configuration", self.address)
    }

    /// A file with a token that is good for an hour.
    fn token_file(&self) -> Result<PathBuf> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": "only"});
        let claims = json!({
            "iss": format!("http://{}", self.address),
            "sub": "the-engine",
            "aud": CLIENT,
            "iat": now.as_secs(),
            "exp": (now + Duration::from_hours(1)).as_secs(),
        });
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&claims));
        let signature = fixed_length(&self.key.sign(signed.as_bytes())?)?;
        let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        let file = self.folder.path().join("token");
        std::fs::write(&file, token)?;
        Ok(file)
    }
}

async fn answer(mut client: TcpStream, discovery: &Value, keys: &Value) -> Result<()> {
    let mut head = [0; 4096];
    let length = client.read(&mut head).await?;
    let is_keys = head
        .get(..length)
        .is_some_and(|head| head.starts_with(b"GET /keys"));
    let body = if is_keys { keys } else { discovery }.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    client.write_all((head + &body).as_bytes()).await?;
    Ok(client.shutdown().await?)
}

fn public_keys(key: &KeyPair) -> Result<Value> {
    // A byte that says how the point is written, then its two coordinates.
    let point = key.public_key_raw();
    let coordinate = |range| Some(BASE64_URL_SAFE_NO_PAD.encode(point.get::<std::ops::Range<usize>>(range)?));
    let (x, y) = coordinate(1..33)
        .zip(coordinate(33..65))
        .context("a point of P-256")?;
    let key =
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "only", "x": x, "y": y});
    Ok(json!({"keys": [key]}))
}

/// A signature as tokens carry it, 32 bytes for each of its two numbers, from the ASN.1 that is signed.
fn fixed_length(der: &[u8]) -> Result<Vec<u8>> {
    let mut rest = der.get(2..).context("a sequence")?;
    let mut signature = Vec::new();
    for _ in 0..2 {
        let length = usize::from(*rest.get(1).context("a number")?);
        let number = rest.get(2..2 + length).context("a whole number")?;
        let digits = &number[number.len().saturating_sub(32)..];
        signature.resize(signature.len() + 32 - digits.len(), 0);
        signature.extend_from_slice(digits);
        rest = &rest[2 + length..];
    }
    Ok(signature)
}

/// An engine that knows nothing of keys, and may do in the bucket what `policy` allows.
async fn engine_with_identity(policy: &str) -> Result<Option<(Engine, Minio, Provider, Authority)>> {
    let (provider, authority) = (Provider::start().await?, Authority::new()?);
    let variables = [
        ("MINIO_IDENTITY_OPENID_CONFIG_URL", &*provider.discovery_url()),
        ("MINIO_IDENTITY_OPENID_CLIENT_ID", CLIENT),
        ("MINIO_IDENTITY_OPENID_ROLE_POLICY", policy),
    ];
    let Some((minio, _)) = minio_over_tls(&authority, &variables).await? else {
        return Ok(None);
    };
    let url = format!("https://{}", minio.address());
    let engine = Engine::start(
        &storage(&url, &authority),
        &[
            ("AWS_ROLE_ARN", ROLE),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                &provider.token_file()?.display().to_string(),
            ),
            ("AWS_ENDPOINT_URL_STS", &url),
            NO_MACHINE,
        ],
    )?;
    Ok(Some((engine, minio, provider, authority)))
}

fn storage(url: &str, authority: &Authority) -> String {
    format!(
        "{{backend: s3, s3: {{bucket: {}, endpoint: \"{url}\", tls_ca_path: {}}}}}",
        super::BUCKET,
        authority.file().display()
    )
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_keys() -> Result<()> {
    let Some((mut engine, _minio, _provider, _authority)) = engine_with_identity("readwrite").await? else {
        return Ok(());
    };
    engine.wait_until_ready().await
}

#[tokio::test]
async fn an_identity_that_may_not_write_is_told_so() -> Result<()> {
    let Some((engine, _minio, _provider, _authority)) = engine_with_identity("readonly").await? else {
        return Ok(());
    };
    engine
        .wait_until_it_says(&["store:", "lack permission", "get, put, delete and list"])
        .await
}

#[tokio::test]
async fn a_token_that_is_not_there_is_named() -> Result<()> {
    let authority = Authority::new()?;
    let mut engine = Engine::start(
        &storage("https://127.0.0.1:1", &authority),
        &[
            ("AWS_ROLE_ARN", ROLE),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token"),
            ("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:1"),
            NO_MACHINE,
        ],
    )?;
    engine
        .wait_until_it_says(&["store:", "/no/such/token", "check"])
        .await?;
    ensure!(engine.is_running()?, "it ended: {}", engine.log());
    Ok(())
}

/// Nothing in the configuration, nothing in the environment, and no machine that offers a role.
#[tokio::test]
async fn who_has_no_credentials_is_told_which_to_give() -> Result<()> {
    let authority = Authority::new()?;
    let mut engine = Engine::start(&storage("https://127.0.0.1:1", &authority), &[NO_MACHINE])?;
    engine
        .wait_until_it_says(&[
            "store:",
            "no credentials are configured",
            "set access and secret key",
        ])
        .await?;
    ensure!(engine.is_running()?, "it ended: {}", engine.log());
    Ok(())
}
