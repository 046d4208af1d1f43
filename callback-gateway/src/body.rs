//! Bodies: what they may be, how large, and how long they may take.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use posthaste_protocol::{callback::MAX_VALUE_BYTES, problem::Code};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// The largest body: a value at its largest, and what is around it.
pub const MAX_BYTES: usize = MAX_VALUE_BYTES + 4096;
/// How much of a larger one is read and dropped, so that its sender gets to see the 413.
const MAX_DROPPED_BYTES: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive, whatever becomes of it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Refuses what its head already says: compressed, or not JSON where JSON is needed. A body without a type is taken for
/// JSON.
pub fn check_type(headers: &HeaderMap, json: bool) -> Result<(), Refusal> {
    let unsupported = |detail: &str| Err(Refusal::new(Code::UnsupportedMediaType, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return unsupported("a compressed body is not supported");
    }
    let Some(named) = headers.get(header::CONTENT_TYPE).filter(|_| json) else { return Ok(()) };
    let essence = named.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        return Ok(());
    }
    unsupported("the content-type must be application/json")
}

/// KiB of bodies that are held at once: of those who hold a token, of sources, and of sources that showed too many bad
/// signatures a moment ago. Nobody takes the room of those who are better known.
const ROOMS_KIB: [usize; 3] = [48 * 1024, 14 * 1024, 2 * 1024];

/// Room for bodies. Only what has arrived takes room, so that nobody takes it by promises.
pub struct Rooms {
    /// For callbacks and hooks.
    pub tokens: Arc<Semaphore>,
    /// For sources.
    pub sources: Arc<Semaphore>,
    /// For sources that are suspected.
    pub suspects: Arc<Semaphore>,
}

impl Rooms {
    /// All of them empty.
    pub fn new() -> Self {
        let [tokens, sources, suspects] = ROOMS_KIB.map(|kib| Arc::new(Semaphore::new(kib)));
        Self { tokens, sources, suspects }
    }
}

/// A body that was read.
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    /// To be dropped together with it.
    pub room: Room,
}

/// The room that a body takes.
#[derive(Default)]
pub struct Room(Option<OwnedSemaphorePermit>);

/// Reads a body of at most [`MAX_BYTES`], within its deadline, while there is room for it.
pub async fn read(room: &Arc<Semaphore>, body: Body) -> Result<Held, Refusal> {
    let late =
        |_| Refusal::new(Code::RequestTimeout, format!("the body did not arrive within {} s", DEADLINE.as_secs()));
    tokio::time::timeout(DEADLINE, collect(room, body)).await.map_err(late)?
}

async fn collect(room: &Arc<Semaphore>, mut body: Body) -> Result<Held, Refusal> {
    let announced = body.size_hint().lower();
    if announced > MAX_DROPPED_BYTES as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut seen) = (BytesMut::new(), 0_usize);
    let mut taken = Room::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(Code::MalformedJson, "the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > MAX_DROPPED_BYTES {
            return Err(too_large());
        }
        if seen <= MAX_BYTES && announced <= MAX_BYTES as u64 {
            taken.grow(room, seen)?;
            bytes.extend_from_slice(&data);
        } else {
            (bytes, taken) = (BytesMut::new(), Room::default());
        }
    }
    if seen > MAX_BYTES { Err(too_large()) } else { Ok(Held { bytes: bytes.freeze(), room: taken }) }
}

impl Room {
    /// Takes what it lacks for so many bytes.
    fn grow(&mut self, room: &Arc<Semaphore>, bytes: usize) -> Result<(), Refusal> {
        let lacks = bytes.div_ceil(1024).saturating_sub(self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if lacks == 0 {
            return Ok(());
        }
        let lacks = u32::try_from(lacks).unwrap_or(u32::MAX);
        let more = Arc::clone(room).try_acquire_many_owned(lacks).map_err(|_| Refusal::overloaded())?;
        match &mut self.0 {
            Some(taken) => taken.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

/// The body as text.
pub fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new(Code::MalformedJson, "the body is not UTF-8"))
}

fn too_large() -> Refusal {
    Refusal::new(Code::PayloadTooLarge, format!("the body has more than {MAX_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    fn refused(result: Result<(), Refusal>) -> Option<Code> {
        result.err().map(|refusal| refusal.code())
    }

    #[test]
    fn json_is_wanted_where_it_is_needed_and_nothing_compressed_anywhere() {
        let unsupported = Some(Code::UnsupportedMediaType);
        for (headers, json, code) in [
            (HeaderMap::new(), true, None),
            (headers(header::CONTENT_TYPE, "Application/JSON; charset=utf-8"), true, None),
            (headers(header::CONTENT_TYPE, "text/plain"), true, unsupported),
            (headers(header::CONTENT_TYPE, "text/plain"), false, None),
            (headers(header::CONTENT_ENCODING, "gzip"), false, unsupported),
            (headers(header::CONTENT_ENCODING, "Identity"), true, None),
        ] {
            assert_eq!(refused(check_type(&headers, json)), code, "{headers:?}");
        }
    }

    fn room(kib: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(kib))
    }

    fn of(bytes: usize) -> Body {
        Body::from(vec![b'x'; bytes])
    }

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_bound_and_no_further() {
        let room = room(2048);
        assert_eq!(read(&room, of(MAX_BYTES)).await.unwrap().bytes.len(), MAX_BYTES);
        for size in [MAX_BYTES + 1, MAX_DROPPED_BYTES + 1] {
            assert_eq!(read(&room, of(size)).await.err().unwrap().code(), Code::PayloadTooLarge);
        }
        assert_eq!(room.available_permits(), 2048, "all of it was given back");
    }

    #[tokio::test]
    async fn all_bodies_together_are_held_in_one_room() {
        let room = room(8);
        let first = read(&room, of(6 * 1024)).await.unwrap();
        assert_eq!(read(&room, of(2 * 1024 + 1)).await.err().unwrap().code(), Code::Overloaded);
        let second = read(&room, of(1)).await.unwrap();
        assert_eq!(room.available_permits(), 1);
        drop((first, second));
        assert_eq!(read(&room, of(8 * 1024)).await.unwrap().bytes.len(), 8 * 1024);
    }

    /// A body that says so much, and no more, ever.
    fn endless(begun: &'static [u8]) -> Body {
        let begun = futures_util::stream::once(async move { Ok::<_, std::io::Error>(Bytes::from_static(begun)) });
        Body::from_stream(futures_util::StreamExt::chain(begun, futures_util::stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up_and_takes_no_room_for_what_it_has_not_said() {
        let room = room(8);
        let (slow, quick) = tokio::join!(read(&room, endless(b"x")), async {
            tokio::task::yield_now().await;
            read(&room, of(7 * 1024)).await
        });
        assert_eq!(slow.err().unwrap().code(), Code::RequestTimeout);
        assert_eq!(quick.unwrap().bytes.len(), 7 * 1024);
    }
}
