//! Flood: forged callback tokens on pipelined connections, as fast as the gateway refuses them.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{say, until_dismissed};

/// Requests that one connection has open at once.
const PIPELINE: usize = 32;
/// What the head of a refusal begins with: a bad token, or too many of them.
const REFUSALS: [&[u8]; 2] = [b"HTTP/1.1 401", b"HTTP/1.1 429"];

/// Floods for so many seconds on so many connections, at this rate in all (0: as fast as it goes), says
/// `refused <401s> <429s> <others>`, and waits to be looked at.
pub async fn run(port: u16, seconds: u64, connections: u64, rate: u64) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    // Between two bursts of one connection.
    let pause =
        (connections * PIPELINE as u64 * 1_000_000).checked_div(rate).map_or(Duration::ZERO, Duration::from_micros);
    let tasks: Vec<_> = (0..connections).map(|n| tokio::spawn(one(port, n, end, pause))).collect();
    let mut total = [0_u64; 3];
    for task in tasks {
        let counted = task.await??;
        total.iter_mut().zip(counted).for_each(|(sum, more)| *sum += more);
    }
    say(&format!("refused {} {} {}", total[0], total[1], total[2]))?;
    until_dismissed().await;
    Ok(())
}

/// One client; comes back when it is cut off.
async fn one(port: u16, n: u64, end: Instant, pause: Duration) -> anyhow::Result<[u64; 3]> {
    let mut counted = [0_u64; 3];
    let burst = forged(n).repeat(PIPELINE);
    while Instant::now() < end {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(64 * 1024);
        while Instant::now() < end {
            let next = tokio::time::Instant::now() + pause;
            let open = stream.write_all(&burst).await.is_ok();
            if !open || !answers(&mut stream, &mut buffer, &mut counted).await {
                break;
            }
            tokio::time::sleep_until(next).await;
        }
    }
    Ok(counted)
}

/// Reads one burst of answers. False: the connection was closed.
async fn answers(stream: &mut TcpStream, buffer: &mut Vec<u8>, counted: &mut [u64; 3]) -> bool {
    let mut left = PIPELINE;
    buffer.clear();
    while left > 0 {
        match stream.read_buf(buffer).await {
            Ok(read) if read > 0 => {}
            _ => return false,
        }
        // A head that is cut in two is looked at again with its rest.
        let mut at = 0;
        while let Some(found) = buffer[at..].windows(12).position(|window| window.starts_with(b"HTTP/1.1 ")) {
            let status = &buffer[at + found..at + found + 12];
            let which = REFUSALS.iter().position(|refusal| status == *refusal).unwrap_or(2);
            counted[which] += 1;
            left = left.saturating_sub(1);
            at += found + 12;
        }
        buffer.drain(..at.max(buffer.len().saturating_sub(11)));
    }
    true
}

/// A callback with a token of the right shape that no key made.
fn forged(n: u64) -> Vec<u8> {
    let letter = char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    let token: String = std::iter::once('A').chain(std::iter::repeat_n(letter, 124)).chain(['A']).collect();
    format!(
        "POST /v1/callbacks/complete HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ph1.{token}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    )
    .into_bytes()
}
