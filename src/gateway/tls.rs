//! Whom to trust over TLS, and with which certificate to show who pushes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::tls_connection::Verifier;
use crate::terminal::quoted;

/// Largest file, in bytes: a system's whole bundle of CA certificates has some 250 KB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The files to use in place of what the system trusts, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CA certificates that may vouch for the gateway, or its own one; the system's where there is none.
    pub ca: Option<PathBuf>,
    /// A client certificate, with those between it and its CA, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why TLS can't be set up. No message shows what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that can't be read.
    #[error("{} can't be read: {cause}", quoted(&.file.to_string_lossy()))]
    Read {
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{} {problem}", quoted(&.file.to_string_lossy()))]
    Content {
        file: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The library can't do what its own defaults say.
    #[error("TLS can't be set up: {0}")]
    Library(rustls::Error),
    /// The system trusts nobody, as in an image of nothing but one program.
    #[error(
        "no CA certificates are on this system to know the gateway by; name a file of them with --ca-file or \
         SSL_CERT_FILE"
    )]
    NoRoots,
}

impl TlsFiles {
    /// Reads and checks the files.
    pub(super) fn load(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (roots, named) = match &self.ca {
            Some(file) => {
                let named = certificates(file)?;
                (ca_file(file, &named)?, named)
            }
            None => (system_roots()?, Vec::new()),
        };
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|_| TlsError::NoRoots)?;
        let verifier = Arc::new(Verifier { authorities, named });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Library)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key_file)) => {
                let chain = certificates(certificate)?;
                // What the parser says may quote a line of the key.
                let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
                    .map_err(|_| content(key_file, "holds no private key in PEM"))?;
                config.with_client_auth_cert(chain, key).map_err(|cause| {
                    let file = quoted(&certificate.to_string_lossy());
                    content(key_file, format!("can't be used with {file}: {cause}"))
                })?
            }
        };
        Ok(Arc::new(config))
    }
}

fn ca_file(
    file: &Path,
    certificates: &[CertificateDer<'static>],
) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store
            .add(certificate.clone())
            .map_err(|cause| content(file, format!("holds what is no CA certificate: {cause}")))?;
    }
    Ok(store)
}

/// Where OpenSSL would look: `SSL_CERT_FILE` and `SSL_CERT_DIR`, then the system's own places. What can't be read there
/// vouches for nobody.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| content(file, "is not proper PEM; it may be cut off"))?;
    if certificates.is_empty() {
        return Err(content(
            file,
            "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(certificates)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|cause| TlsError::Read {
            file: file.to_owned(),
            cause,
        })?;
    Ok(bytes)
}

fn content(file: &Path, problem: impl fmt::Display) -> TlsError {
    TlsError::Content {
        file: file.to_owned(),
        problem: problem.to_string(),
    }
}
