//! TLS over a connection. The HTTP library's own would let nobody but authorities vouch for a gateway.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    StreamOwned,
};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// What the TLS library calls an authority's own certificate, where a server shows it.
pub(super) const AUTHORITYS_OWN: &str = "CaUsedAsEndEntity";

/// Makes a connection one with TLS, where the address is https.
pub(super) struct Tls(pub(super) Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        // As for a proxy that speaks https, before a gateway that does not.
        let config = self.0.clone();
        let config = config.ok_or(Error::Tls("it is not set up for this address"))?;
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::Tls("its host is no name that a certificate can have"))?;
        let mut connection = ClientConnection::new(config, name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        let now = (details.current_time)();
        socket.set_timeout(left(details.timeout, details.now, now)?);
        if let Err(error) = connection.complete_io(&mut socket) {
            return Err(last_words(&mut connection, &mut socket, error));
        }
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(Encrypted {
            buffers,
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// Why a connection broke: a server that refuses a client's certificate says so and closes, and may have done both before
/// the request is written. The stream itself would write again before it reads, and fail again.
fn last_words(
    connection: &mut ClientConnection,
    socket: &mut TransportAdapter,
    error: io::Error,
) -> Error {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    if matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset
    ) {
        while connection.read_tls(socket).is_ok_and(|read| read > 0) {
            if let Err(refusal) = connection.process_new_packets() {
                return refusal.into();
            }
        }
    }
    error.into()
}

/// What connecting has left of the time for both.
fn left(timeout: NextTimeout, began: Instant, now: Instant) -> Result<NextTimeout, Error> {
    let after = match (timeout.after, began, now) {
        (Duration::Exact(limit), Instant::Exact(began), Instant::Exact(now)) => {
            let elapsed = now.saturating_duration_since(began);
            // Zero would be no timeout but a second.
            let left = limit.checked_sub(elapsed).filter(|left| !left.is_zero());
            Duration::Exact(left.ok_or(Error::Timeout(timeout.reason))?)
        }
        (limit, ..) => limit,
    };
    Ok(NextTimeout { after, ..timeout })
}

/// A connection with TLS.
pub(super) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let written = self.stream.write_all(&self.buffers.output()[..amount]);
        written.map_err(|error| last_words(&mut self.stream.conn, &mut self.stream.sock, error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf());
        let read =
            read.map_err(|error| last_words(&mut self.stream.conn, &mut self.stream.sock, error))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Trusts whom the authorities vouch for, and the very certificates that were named.
pub(super) struct Verifier {
    pub(super) authorities: Arc<WebPkiServerVerifier>,
    /// Those that somebody named. A certificate that signed itself, as `openssl req -x509` makes it, is an authority's, and
    /// no authority may be a server too. But where it is known byte for byte, nobody needs to vouch for it.
    pub(super) named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = (self.authorities).verify_server_cert(certificate, between, name, ocsp, now);
        match found {
            // Its dates have been looked at before its place in a chain.
            Err(error) if nobody_vouches(&error) && self.named.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            found => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        (self.authorities).verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        (self.authorities).verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

fn nobody_vouches(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        rustls::Error::InvalidCertificate(CertificateError::Other(cause)) => {
            cause.to_string().contains(AUTHORITYS_OWN)
        }
        _ => false,
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Encrypted")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection};
    use ureq::config::Config;
    use ureq::{SendBody, Timeout};

    use super::super::connect::{Pin, agent};
    use super::*;

    /// The second part of a body, after which nothing comes, once the server has closed the connection.
    struct AfterClosing(mpsc::Receiver<()>);

    impl Read for AfterClosing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.recv().is_err() {
                return Ok(0);
            }
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }

    #[test]
    fn a_server_that_wants_a_certificate_is_heard_though_writing_fails() {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let roots = Arc::new(roots);
        let wanted = WebPkiClientVerifier::builder(roots.clone());
        let server = ServerConfig::builder()
            .with_client_cert_verifier(wanted.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (closed, body) = mpsc::channel();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(Arc::new(server)).unwrap();
            connection.complete_io(&mut socket).unwrap_err();
            drop(socket);
            // One part that the server's end answers with a reset, and those that can't be written any more.
            for _ in 0..3 {
                closed.send(()).unwrap();
            }
        });
        let agent = agent(Config::default(), Some(Arc::new(client)), Pin::default());
        let error = agent
            .put(format!("https://{address}/"))
            .send(SendBody::from_owned_reader(AfterClosing(body)))
            .unwrap_err();
        serving.join().unwrap();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
    }

    #[test]
    fn the_handshake_has_what_connecting_left_of_the_time() {
        let began = std::time::Instant::now();
        let timeout = NextTimeout {
            after: Duration::from_secs(3),
            reason: Timeout::Connect,
            ..NextTimeout::default()
        };
        let after = |seconds| {
            let now = began + std::time::Duration::from_secs(seconds);
            left(timeout, Instant::Exact(began), Instant::Exact(now)).map(|left| left.after)
        };
        assert_eq!(after(2).unwrap(), Duration::from_secs(1));
        for over in [3, 4] {
            let error = after(over).unwrap_err();
            assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error}");
        }
    }
}
