//! A server with the faults of networks and gateways, one for each connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// What the server does with one connection, once it has read the request.
pub enum Fault {
    /// Sends this as it is, then closes.
    Answer(Vec<u8>),
    /// Sends this, then bytes without end, until the client leaves.
    Endless(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Never answers.
    Hang,
}

pub fn answer(response: impl Into<Vec<u8>>) -> Fault {
    Fault::Answer(response.into())
}

pub fn endless(start: impl Into<Vec<u8>>) -> Fault {
    Fault::Endless(start.into())
}

pub fn close() -> Fault {
    Fault::Close
}

pub fn hang() -> Fault {
    Fault::Hang
}

/// Listens from its start to the last of its faults.
pub struct FaultyServer {
    address: String,
    requests: Receiver<String>,
}

impl FaultyServer {
    pub fn start<const N: usize>(faults: [Fault; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for fault in faults {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = sender.send(read_request(&mut stream));
                match fault {
                    // The client may have left before the end of a long answer.
                    Fault::Answer(response) => drop(stream.write_all(&response)),
                    Fault::Endless(start) => {
                        let _ = stream.write_all(&start);
                        while stream.write_all(&[b'x'; 4096]).is_ok() {}
                    }
                    Fault::Close => {}
                    Fault::Hang => hanging.push(stream),
                }
            }
            // Held open until the test ends, and the process with it.
            while !hanging.is_empty() {
                std::thread::park();
            }
        });
        Self { address, requests }
    }

    /// HOST:PORT
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Those that came, whole, in their order. Call it when the program under test has ended.
    pub fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

/// Head and body; whatever came where it is not HTTP.
fn read_request(stream: &mut TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            body.len() >= length.map_or(0, |length| length.parse().unwrap())
        });
        let is_http = text.starts_with(|first: char| first.is_ascii_uppercase());
        if read == 0 || complete || !is_http {
            return text.into_owned();
        }
    }
}
