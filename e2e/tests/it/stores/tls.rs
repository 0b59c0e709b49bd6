//! TLS towards a bucket: whom we trust, and as whom we are known.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::{Certificate, Minio, MinioOptions, Proxy, Way};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tempo_block::store::{Problem, S3Settings, TlsSettings, probe};
use tempo_runtime::Environment;
use tokio_rustls::TlsAcceptor;

use super::contract::contract;
use super::{BUCKET, opened, settings, trouble};

/// An authority of the test's own, whose certificate lies in a file.
pub(super) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        // The second call finds the provider installed by the first, which is all we want.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let authority = Self {
            folder: tempfile::tempdir()?,
            issuer,
        };
        std::fs::write(authority.file(), authority.issuer.pem())?;
        Ok(authority)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a name or address.
    pub(super) fn certify(&self, name: &str) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(Certificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// A certificate and its key as files.
    fn files(&self, certificate: &Certificate) -> Result<(PathBuf, PathBuf)> {
        let files = (
            self.folder.path().join("client.pem"),
            self.folder.path().join("client.key"),
        );
        std::fs::write(&files.0, &certificate.certificate)?;
        std::fs::write(&files.1, &certificate.key)?;
        Ok(files)
    }

    /// A server that speaks TLS with those alone whom this authority has certified.
    fn acceptor(&self) -> Result<TlsAcceptor> {
        let own = self.certify("127.0.0.1")?;
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_slice(self.issuer.pem().as_bytes())?)?;
        let clients = WebPkiClientVerifier::builder(Arc::new(trusted)).build()?;
        let config = ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(own.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(own.key.as_bytes())?,
            )?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A MinIO that speaks HTTPS, and settings that trust it.
pub(super) async fn minio_over_tls(
    authority: &Authority,
    variables: &[(&str, &str)],
) -> Result<Option<(Minio, S3Settings)>> {
    let certificate = authority.certify("127.0.0.1")?;
    let options = MinioOptions {
        buckets: &[BUCKET],
        certificate: Some(&certificate),
        settings: variables,
    };
    let minio = Minio::with(&options).await?;
    Ok(minio.map(|minio| {
        let right = S3Settings {
            endpoint: format!("https://{}", minio.address()),
            insecure: false,
            tls: TlsSettings {
                ca_file: Some(authority.file()),
                ..TlsSettings::default()
            },
            ..settings(minio.address())
        };
        (minio, right)
    }))
}

#[tokio::test]
async fn minio_over_tls_with_an_authority_of_its_own_fulfils_the_contract() -> Result<()> {
    let authority = Authority::new()?;
    let Some((minio, right)) = minio_over_tls(&authority, &[]).await? else {
        return Ok(());
    };
    contract(&opened(right.clone())?).await;

    let trusting = TlsSettings {
        skip_certificate_check: true,
        ..TlsSettings::default()
    };
    let newest = TlsSettings {
        only_tls_1_3: true,
        ..right.tls.clone()
    };
    for tls in [trusting, newest] {
        let other = S3Settings { tls, ..right.clone() };
        probe(&Environment::system(), &*opened(other)?).await?;
    }

    let stranger = Authority::new()?;
    for ca_file in [None, Some(stranger.file())] {
        let tls = TlsSettings {
            ca_file,
            ..TlsSettings::default()
        };
        let (problem, text) = trouble(S3Settings { tls, ..right.clone() }).await?;
        ensure!(problem == Problem::Tls, "{text}");
        ensure!(text.contains("set the CA that signed it"), "{text}");
    }
    let plain = S3Settings {
        endpoint: minio.address().to_owned(),
        insecure: true,
        ..right
    };
    let (problem, text) = trouble(plain).await?;
    ensure!(problem == Problem::Tls, "{text}");
    ensure!(text.contains("scheme"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() -> Result<()> {
    let options = MinioOptions {
        buckets: &[BUCKET],
        ..MinioOptions::default()
    };
    let Some(minio) = Minio::with(&options).await? else {
        return Ok(());
    };
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let proxy = Proxy::start(minio.address(), Some(authority.acceptor()?), |_| Way::Through).await?;
    let shown = |client_certificate| S3Settings {
        endpoint: format!("https://{}", proxy.address()),
        tls: TlsSettings {
            ca_file: Some(authority.file()),
            client_certificate,
            ..TlsSettings::default()
        },
        ..settings(proxy.address())
    };
    let certified = |by: &Authority| by.files(&by.certify("tempo")?);
    contract(&opened(shown(Some(certified(&authority)?)))?).await;
    for wrong in [shown(None), shown(Some(certified(&stranger)?))] {
        let (problem, text) = trouble(wrong).await?;
        ensure!(problem == Problem::ClientCertificate, "{text}");
        ensure!(text.contains("tls_cert_path"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn files_that_are_no_certificates_are_named() -> Result<()> {
    let authority = Authority::new()?;
    let (certificate, key) = authority.files(&authority.certify("tempo")?)?;
    let missing = PathBuf::from("/no/such/file.pem");
    let of_client = |certificate: &PathBuf, key: &PathBuf| TlsSettings {
        client_certificate: Some((certificate.clone(), key.clone())),
        ..TlsSettings::default()
    };
    let without_authority = TlsSettings {
        ca_file: Some(missing.clone()),
        ..TlsSettings::default()
    };
    let wrong = [
        (without_authority, &missing),
        (of_client(&certificate, &missing), &missing),
        (of_client(&missing, &key), &missing),
        (of_client(&certificate, &certificate), &certificate),
    ];
    for (tls, file) in wrong {
        let settings = S3Settings {
            tls,
            ..settings("https://127.0.0.1:1")
        };
        let error = opened(settings).err().context("a file that is not one")?;
        let text = error.to_string();
        ensure!(text.contains(&file.display().to_string()), "{text}");
        ensure!(text.contains("the setting that names it"), "{text}");
    }
    Ok(())
}
