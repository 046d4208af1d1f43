//! HTTP as anybody may write it: bytes on a socket, so that tests can also write it badly.

use std::net::SocketAddr;

use posthaste_tests::WAIT_LIMIT;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The head as it came, in lower case, without the status line and the date.
    pub head: Vec<String>,
    pub body: Value,
}

impl Answer {
    /// The outcome, or the problem's code.
    pub fn word(&self) -> &str {
        self.body["outcome"].as_str().or_else(|| self.body["code"].as_str()).unwrap_or_default()
    }

    /// The state of the job that the answer names.
    pub fn state(&self) -> &str {
        self.body["job"]["state"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends these bytes, which are to end the connection, and reads the answer.
pub async fn exchange(to: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request).await.unwrap();
    answer(&mut stream).await
}

/// Reads the answer until the connection ends.
pub async fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    timeout(WAIT_LIMIT * 2, stream.read_to_end(&mut bytes)).await.expect("an answer").unwrap();
    read(&String::from_utf8(bytes).unwrap())
}

fn read(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap();
    let head = lines.map(str::to_ascii_lowercase).filter(|line| !line.starts_with("date:")).collect();
    Answer { status, head, body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

/// A POST of JSON; `headers` are whole lines, which replace those of the same name.
pub fn post(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut lines = vec!["content-type: application/json".to_owned(), format!("content-length: {}", body.len())];
    for header in headers {
        let name = header.split(':').next();
        lines.retain(|line| line.split(':').next() != name);
        lines.push((*header).to_owned());
    }
    request("POST", path, &lines, body)
}

/// Any request that ends its connection.
pub fn request(method: &str, path: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: cb.test\r\nconnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}
