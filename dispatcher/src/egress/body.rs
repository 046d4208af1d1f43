//! The body of a POST that knows whether it was handed to a connection, and the bounded body of an answer.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Whether any byte of a request may have left this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<AtomicBool>);

impl Taken {
    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The body of a POST.
///
/// hyper asks `is_end_stream` when a connection takes the request off its queue, before it encodes the
/// head (HTTP/1) or opens the stream (HTTP/2), and asks nothing of a request it hands back unsent. That
/// moment separates `not_sent` from `unknown`; the tests of the client hold it.
pub(super) struct Outgoing {
    data: Option<Bytes>,
    taken: Taken,
}

impl Outgoing {
    pub(super) fn new(data: Bytes, taken: Taken) -> Self {
        Self { data: Some(data).filter(|data| !data.is_empty()), taken }
    }

    fn take(&self) {
        self.taken.0.store(true, Ordering::Release);
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.take();
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.take();
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.take();
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// What has been read of an answer's body, never more than the cap.
#[derive(Default)]
pub(super) struct Received {
    first: Bytes,
    more: BytesMut,
    /// There was more than the cap; the rest was not read.
    pub(super) over_cap: bool,
}

impl Received {
    /// Reads until the end or the cap. Dropping `body` before its end closes the connection.
    pub(super) async fn fill(&mut self, mut body: Incoming, cap: usize) -> Result<(), hyper::Error> {
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                self.push(data, cap);
            }
            if self.over_cap {
                break;
            }
        }
        Ok(())
    }

    fn push(&mut self, mut data: Bytes, cap: usize) {
        let held = self.first.len() + self.more.len();
        if held + data.len() > cap {
            self.over_cap = true;
            data.truncate(cap - held);
        }
        // Nearly every answer is one frame, which is kept without a copy.
        if held == 0 {
            self.first = data;
        } else {
            self.more.extend_from_slice(&data);
        }
    }

    pub(super) fn into_bytes(mut self) -> Bytes {
        if self.more.is_empty() {
            return self.first;
        }
        let mut whole = BytesMut::with_capacity(self.first.len() + self.more.len());
        whole.extend_from_slice(&self.first);
        whole.unsplit(self.more.split());
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_joined_up_to_the_cap() {
        let mut received = Received::default();
        for part in ["ab", "cd", "ef"] {
            received.push(Bytes::from_static(part.as_bytes()), 5);
        }
        assert!(received.over_cap);
        assert_eq!(received.into_bytes(), "abcde");
    }

    #[test]
    fn a_body_of_exactly_the_cap_is_whole() {
        let mut received = Received::default();
        received.push(Bytes::from_static(b"abcde"), 5);
        assert!(!received.over_cap);
        assert_eq!(received.into_bytes(), "abcde");
    }
}
