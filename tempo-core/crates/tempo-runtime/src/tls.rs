//! TLS from files: what a server shows and what a client trusts. One provider of cryptography (ring) for all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// TLS that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that is not what it should be.
    #[error("read {what} from {}: {reason}", path.display())]
    File {
        /// Certificate, key or CA.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The parts do not fit together.
    #[error("set up TLS with {}: {reason}", path.display())]
    Setup {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Where a server's certificate and key lie, and whose clients it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate chain in PEM.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
    /// The CA that clients' certificates must come from; `None` asks clients for none.
    pub client_ca: Option<PathBuf>,
}

impl ServerTls {
    /// Reads the files. Offers HTTP/2 and HTTP/1.1.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let setup = |reason: String| TlsError::Setup {
            path: self.certificate.clone(),
            reason,
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider)
                    .build()
                    .map_err(|error| setup(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unreadable("private key", &self.key, &error))?;
        let mut config = builder
            .with_single_cert(certificates("certificate", &self.certificate)?, key)
            .map_err(|error| setup(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The certificates of a CA file.
pub fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("CA certificates", path)? {
        store
            .add(certificate)
            .map_err(|error| unreadable("CA certificates", path, &error))?;
    }
    Ok(store)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(what, path, &error))
        .and_then(|found| {
            if found.is_empty() {
                Err(unreadable(what, path, &"no certificate in it"))
            } else {
                Ok(found)
            }
        })
}

fn unreadable(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        what,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let tls = ServerTls {
            certificate: "/none/tls.crt".into(),
            key: "/none/tls.key".into(),
            client_ca: None,
        };
        let error = tls
            .acceptor()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains("/none/tls.key"), "{error}");
    }
}
