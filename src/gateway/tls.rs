//! Whom to trust over TLS, and with which certificate to show who pushes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use crate::terminal::quoted;

/// Largest file, in bytes: a system's whole bundle of CA certificates has some 250 KB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The files to use in place of what the system trusts, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CA certificates that may vouch for the gateway; the system's where there is none.
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
        /// Which.
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{} {problem}", quoted(&.file.to_string_lossy()))]
    Content {
        /// Which.
        file: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The system trusts nobody, as in an image of nothing but one program.
    #[error(
        "no CA certificates are on this system to know the gateway by; name a file of them with --ca-file or \
         SSL_CERT_FILE"
    )]
    NoRoots,
}

impl TlsFiles {
    /// Reads and checks the files.
    pub(super) fn load(&self) -> Result<TlsConfig, TlsError> {
        // It fails where there is a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = match &self.ca {
            Some(file) => ca_file(file)?,
            None => system_roots()?,
        };
        let identity = self
            .identity
            .as_ref()
            .map(|(certificate, key)| identity(certificate, key))
            .transpose()?;
        Ok(TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(identity)
            .build())
    }
}

fn ca_file(file: &Path) -> Result<Vec<Certificate<'static>>, TlsError> {
    let certificates = certificates(file)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(CertificateDer::from(certificate.der()))
            .map_err(|cause| content(file, format!("holds what is no CA certificate: {cause}")))?;
    }
    Ok(certificates)
}

/// Where OpenSSL would look: `SSL_CERT_FILE` and `SSL_CERT_DIR`, then the system's own places. What can't be read there
/// vouches for nobody.
fn system_roots() -> Result<Vec<Certificate<'static>>, TlsError> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    if certificates.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let owned = |der: CertificateDer| Certificate::from_der(&der).to_owned();
    Ok(certificates.into_iter().map(owned).collect())
}

fn identity(certificate_file: &Path, key_file: &Path) -> Result<ClientCert, TlsError> {
    let chain = certificates(certificate_file)?;
    let bytes = read(key_file)?;
    // What the parsers say may quote a line of the key.
    let no_key = || content(key_file, "holds no private key in PEM");
    let key = PrivateKey::from_pem(&bytes).map_err(|_| no_key())?;
    let checked = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| no_key())?;
    // ureq takes the two for a pair.
    check_pair(&chain, checked).map_err(|cause| {
        let file = certificate_file.to_string_lossy();
        content(
            key_file,
            format!("can't be used with {}: {cause}", quoted(&file)),
        )
    })?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn check_pair(chain: &[Certificate], key: PrivateKeyDer<'static>) -> Result<(), rustls::Error> {
    let chain = chain
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der()).into_owned())
        .collect();
    rustls::ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(chain, key)
        .map(drop)
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, TlsError> {
    let certificates = ureq::tls::parse_pem(&read(file)?)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(_) => Some(Err(content(file, "is not proper PEM; it may be cut off"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
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
