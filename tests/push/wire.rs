//! A wire between a program and a real gateway, which loses and delays what a test wants it to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::pushgateway::Pushgateway;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// It never arrives, and the connection breaks.
    LoseRequest,
    /// It arrives, and the connection breaks.
    LoseAnswer,
    /// The connection breaks, and it arrives when [`Wire::deliver`] is called.
    Delay,
    /// It arrives, and there is no answer for as long as the wire is there.
    Freeze,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Lock,
    Read,
    Write,
    Ban,
    Release,
}

pub struct Wire {
    address: String,
    gateway: String,
    delayed: Arc<Mutex<Vec<Vec<u8>>>>,
    seen: Arc<Mutex<Vec<Stage>>>,
}

impl Wire {
    /// With the fates of those requests that don't just pass, each used once, when the first of its stage comes by.
    pub fn to<const N: usize>(gateway: &Pushgateway, fates: [(Stage, Fate); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap().to_string(),
            gateway: gateway.address().to_owned(),
            delayed: Arc::default(),
            seen: Arc::default(),
        };
        let fates = Arc::new(Mutex::new(Vec::from(fates)));
        let (gateway, delayed, seen) = (
            wire.gateway.clone(),
            Arc::clone(&wire.delayed),
            Arc::clone(&wire.seen),
        );
        thread::spawn(move || {
            for client in listener.incoming() {
                let line = Line {
                    client: client.unwrap(),
                    gateway: TcpStream::connect(&gateway).unwrap(),
                    fates: Arc::clone(&fates),
                    delayed: Arc::clone(&delayed),
                    seen: Arc::clone(&seen),
                };
                thread::spawn(move || line.carry());
            }
        });
        wire
    }

    /// HOST:PORT
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a request of this stage came by.
    pub fn has_seen(&self, stage: Stage) -> bool {
        self.seen.lock().unwrap().contains(&stage)
    }

    /// Lets what was delayed arrive, and returns how each was answered: the status line and the body's start.
    pub fn deliver(&self) -> Vec<String> {
        let delayed = std::mem::take(&mut *self.delayed.lock().unwrap());
        let answer = |request: Vec<u8>| {
            let mut gateway = TcpStream::connect(&self.gateway).unwrap();
            gateway.write_all(&request).unwrap();
            String::from_utf8(message(&mut gateway).unwrap()).unwrap()
        };
        delayed.into_iter().map(answer).collect()
    }
}

/// One connection.
struct Line {
    client: TcpStream,
    gateway: TcpStream,
    fates: Arc<Mutex<Vec<(Stage, Fate)>>>,
    delayed: Arc<Mutex<Vec<Vec<u8>>>>,
    seen: Arc<Mutex<Vec<Stage>>>,
}

impl Line {
    /// Until one of the two leaves, or the wire breaks.
    fn carry(mut self) {
        while let Some(request) = message(&mut self.client) {
            let stage = stage(&request);
            let fate = self.fate(stage);
            match fate {
                Fate::LoseRequest => return,
                Fate::Delay => return self.delayed.lock().unwrap().push(request),
                Fate::Pass | Fate::LoseAnswer | Fate::Freeze => {}
            }
            self.gateway.write_all(&request).unwrap();
            let Some(answer) = message(&mut self.gateway) else {
                return;
            };
            // Seen is what arrived.
            self.seen.lock().unwrap().push(stage);
            match fate {
                Fate::LoseAnswer => return,
                Fate::Freeze => loop {
                    thread::park();
                },
                _ => {}
            }
            if self.client.write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn fate(&self, stage: Stage) -> Fate {
        let mut fates = self.fates.lock().unwrap();
        match fates.iter().position(|(of, _)| *of == stage) {
            Some(place) => fates.remove(place).1,
            None => Fate::Pass,
        }
    }
}

fn stage(request: &[u8]) -> Stage {
    let text = String::from_utf8_lossy(request);
    let line = text.lines().next().unwrap();
    let own_group = line.contains("/metrics/job/simplepipe_accumulate");
    match line.split(' ').next().unwrap() {
        "GET" => Stage::Read,
        "DELETE" => Stage::Release,
        "PUT" => Stage::Ban,
        "POST" if own_group => Stage::Lock,
        "POST" => Stage::Write,
        _ => panic!("{line}"),
    }
}

/// A whole request or response; none where the other side left.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while !is_whole(&message) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => message.extend_from_slice(&buffer[..read]),
        }
    }
    Some(message)
}

fn is_whole(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}
