//! A wire between a program and a real gateway, which loses and delays what a test wants it to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::pushgateway::Pushgateway;

const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// It never arrives, and the connection breaks.
    LoseRequest,
    /// It arrives, and the connection breaks.
    LoseAnswer,
    /// It arrives, and the connection breaks within the answer.
    CutAnswer,
    /// It arrives, and a proxy that lost the answer says so in its place.
    BadGateway,
    /// The connection breaks, and it arrives when [`Wire::deliver`] is called.
    Delay,
    /// It arrives and is answered, and then the connection ends.
    HangUp,
    /// It arrives once the wire is no longer [`Wire::shut`].
    HoldRequest,
    /// It arrives, and its answer does once the wire is no longer [`Wire::shut`].
    HoldAnswer,
    /// It arrives and is answered, and the group that it pushed to is deleted by then.
    Undo,
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
    gate: Arc<Mutex<()>>,
}

impl Wire {
    /// With the fates of those requests that don't just pass, each used once, when the first of its stage comes by.
    pub fn to<const N: usize>(gateway: &Pushgateway, fates: [(Stage, Fate); N]) -> Self {
        Self::new(gateway, Vec::from(fates), false)
    }

    /// All answers say that it is the year 2100.
    pub fn long_after(gateway: &Pushgateway) -> Self {
        Self::new(gateway, Vec::new(), true)
    }

    fn new(gateway: &Pushgateway, fates: Vec<(Stage, Fate)>, is_long_after: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap().to_string(),
            gateway: gateway.address().to_owned(),
            delayed: Arc::default(),
            seen: Arc::default(),
            gate: Arc::default(),
        };
        let fates = Arc::new(Mutex::new(fates));
        let (address, delayed, seen, gate) = (
            wire.gateway.clone(),
            Arc::clone(&wire.delayed),
            Arc::clone(&wire.seen),
            Arc::clone(&wire.gate),
        );
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // A gateway that is gone: the client finds its connection closed.
                let Ok(gateway) = TcpStream::connect(&address) else {
                    continue;
                };
                let line = Line {
                    client,
                    gateway,
                    fates: Arc::clone(&fates),
                    delayed: Arc::clone(&delayed),
                    seen: Arc::clone(&seen),
                    gate: Arc::clone(&gate),
                    is_long_after,
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

    /// What arrived, in its order.
    pub fn seen(&self) -> Vec<Stage> {
        self.seen.lock().unwrap().clone()
    }

    pub fn has_seen(&self, stage: Stage) -> bool {
        self.seen().contains(&stage)
    }

    /// Nothing that is to be held goes on for as long as the guard is there.
    pub fn shut(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
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
    gate: Arc<Mutex<()>>,
    is_long_after: bool,
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
                Fate::HoldRequest => self.wait_at_the_gate(),
                _ => {}
            }
            let Some(mut answer) = self.ask(&request) else {
                return;
            };
            if self.is_long_after {
                answer = long_after(&answer);
            }
            // Seen is what arrived.
            self.seen.lock().unwrap().push(stage);
            match fate {
                Fate::LoseAnswer => return,
                Fate::Freeze => loop {
                    thread::park();
                },
                Fate::CutAnswer => {
                    let _ = self.client.write_all(&answer[..answer.len() / 2]);
                    return;
                }
                Fate::BadGateway => answer = BAD_GATEWAY.to_vec(),
                Fate::HoldAnswer => self.wait_at_the_gate(),
                Fate::Undo => drop(self.ask(&deletion(&request))),
                _ => {}
            }
            if self.client.write_all(&answer).is_err() || fate == Fate::HangUp {
                return;
            }
        }
    }

    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        self.gateway.write_all(request).unwrap();
        message(&mut self.gateway)
    }

    fn wait_at_the_gate(&self) {
        drop(self.gate.lock().unwrap());
    }

    fn fate(&self, stage: Stage) -> Fate {
        let mut fates = self.fates.lock().unwrap();
        match fates.iter().position(|(of, _)| *of == stage) {
            Some(place) => fates.remove(place).1,
            None => Fate::Pass,
        }
    }
}

/// Of the group that a push is for.
fn deletion(push: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(push);
    let path = text.split(' ').nth(1).unwrap();
    format!("DELETE {path} HTTP/1.1\r\nHost: gateway\r\n\r\n").into_bytes()
}

fn long_after(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(answer);
    let (before, rest) = text.split_once("\r\nDate: ").unwrap();
    let (_, after) = rest.split_once("\r\n").unwrap();
    format!("{before}\r\nDate: Fri, 01 Jan 2100 00:00:00 GMT\r\n{after}").into_bytes()
}

fn stage(request: &[u8]) -> Stage {
    let text = String::from_utf8_lossy(request);
    let line = text.lines().next().unwrap();
    let lock = line.contains("/metrics/job/simplepipe_accumulate/");
    let ban = line.contains("/simplepipe_accumulate_id/");
    match line.split(' ').next().unwrap() {
        "GET" => Stage::Read,
        "DELETE" => Stage::Release,
        "POST" if lock => Stage::Lock,
        "POST" if ban => Stage::Ban,
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
