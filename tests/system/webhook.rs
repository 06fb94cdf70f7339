//! A webhook: what Alertmanager pages, kept for a test to look at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A page as it came: the alerts in it, and the token that it came with.
#[derive(Debug, Clone)]
pub struct Page {
    /// The `Authorization` header.
    pub authorization: String,
    /// Alertmanager's message.
    pub body: Value,
}

/// Listens for pages as long as the test runs.
pub struct Webhook {
    url: String,
    pages: Arc<Mutex<Vec<Page>>>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self::new()
    }
}

impl Webhook {
    /// One that listens.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let pages = Arc::new(Mutex::new(Vec::new()));
        let kept = pages.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(page) = take(stream) {
                    kept.lock().unwrap().push(page);
                }
            }
        });
        Self { url, pages }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every firing alert that was paged so far, with the page it came in.
    pub fn firing(&self) -> Vec<(Page, Value)> {
        let pages = self.pages.lock().unwrap().clone();
        let alerts = pages.iter().flat_map(|page| {
            let alerts = page.body["alerts"].as_array().cloned().unwrap_or_default();
            alerts.into_iter().map(|alert| (page.clone(), alert))
        });
        alerts
            .filter(|(_, alert)| alert["status"] == "firing")
            .collect()
    }
}

/// Reads one request and answers that it was taken.
fn take(stream: TcpStream) -> Option<Page> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    Some(Page {
        authorization,
        body,
    })
}
