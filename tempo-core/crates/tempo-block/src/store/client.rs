//! The HTTP client of a store that wants to know who calls: object_store's own has no client certificate.

use std::path::{Path, PathBuf};

use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, Error, Result};
use reqwest::{Certificate, Identity};

use super::StoreError;
use super::settings::{RequestLimits, TlsSettings};

/// What the TLS of a store needs besides object_store's options.
#[derive(Debug, Clone)]
pub(super) struct TlsConnector {
    identity: Option<Identity>,
    authorities: Vec<Certificate>,
    any_certificate: bool,
    only_tls_1_3: bool,
    limits: RequestLimits,
}

impl TlsConnector {
    /// `None` where object_store's own client does all that is asked for.
    pub(super) fn of(settings: &TlsSettings, limits: RequestLimits) -> Result<Option<Self>, StoreError> {
        if settings.client_certificate.is_none() && !settings.only_tls_1_3 {
            return Ok(None);
        }
        let identity = settings.client_certificate.as_ref().map(identity).transpose()?;
        let authorities = settings.ca_file.as_deref().map(authorities).transpose()?;
        Ok(Some(Self {
            identity,
            authorities: authorities.unwrap_or_default(),
            any_certificate: settings.skip_certificate_check,
            only_tls_1_3: settings.only_tls_1_3,
            limits,
        }))
    }
}

impl HttpConnector for TlsConnector {
    /// The options say the same as the settings that this was made from.
    fn connect(&self, _options: &ClientOptions) -> Result<HttpClient> {
        let mut client = reqwest::Client::builder()
            .http1_only()
            .connect_timeout(self.limits.connect_timeout)
            .timeout(self.limits.request_timeout)
            .tls_certs_merge(self.authorities.clone())
            .tls_danger_accept_invalid_certs(self.any_certificate);
        if let Some(identity) = &self.identity {
            client = client.identity(identity.clone());
        }
        if self.only_tls_1_3 {
            client = client.tls_version_min(reqwest::tls::Version::TLS_1_3);
        }
        let client = client.build().map_err(|source| Error::Generic {
            store: "S3",
            source: source.into(),
        })?;
        Ok(HttpClient::new(client))
    }
}

/// Certificates and the key to the first of them.
fn identity((certificate, key): &(PathBuf, PathBuf)) -> Result<Identity, StoreError> {
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    Identity::from_pem(&pem).map_err(|error| {
        StoreError::file(
            key,
            format!("it is not the key of {}: {error}", certificate.display()),
        )
    })
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, StoreError> {
    Certificate::from_pem_bundle(&read(file)?).map_err(|error| StoreError::file(file, error))
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(file).map_err(|error| StoreError::file(file, error))
}
