//! The end of a routed request is told to the machine once, however it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use crate::live::proxy::Proxy;
use crate::model::id::RequestId;
use crate::policy::proxy::Input;

/// A routed request whose end was not told yet. It is told once: dropped, the request was cut.
pub(super) struct Open {
    proxy: Proxy,
    id: RequestId,
    /// Bytes of the answer's body so far.
    bytes: u64,
    told: bool,
}

impl Open {
    pub(super) fn new(proxy: Proxy, id: RequestId) -> Self {
        Self {
            proxy,
            id,
            bytes: 0,
            told: false,
        }
    }

    /// Tells the end, with status 0 for an answer that was cut.
    pub(super) fn ended(&mut self, status: u16) {
        if !std::mem::replace(&mut self.told, true) {
            self.proxy.feed(Input::RequestEnded {
                request: self.id,
                status,
                bytes: self.bytes,
            });
        }
    }

    /// Leaves it to the caller to tell the end of this request.
    pub(super) fn told_otherwise(mut self) -> RequestId {
        self.told = true;
        self.id
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ended(0);
    }
}

/// A body on its way to the user. Its end is told once, also when the user gives up.
pub(super) struct Counted {
    pub(super) body: Incoming,
    pub(super) status: u16,
    pub(super) open: Open,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let status = self.status;
        match &frame {
            Some(Ok(frame)) => {
                self.open.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // The last frame of a body with a known length is followed by no other poll.
                if self.body.is_end_stream() {
                    self.open.ended(status);
                }
            }
            Some(Err(_)) => self.open.ended(0),
            None => self.open.ended(status),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // An answer without a body is never asked for a frame.
        if self.body.is_end_stream() {
            self.open.ended(self.status);
        }
    }
}
