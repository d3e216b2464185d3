//! Many datagrams with one call, and the echo server that is the limit of everything here.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use socket2::{Domain, Socket, Type};

use crate::Failed;

/// How many datagrams a call moves at most.
pub(crate) const BATCH: usize = 64;

/// The longest datagram that is looked at.
const LARGEST: usize = 1_500;

/// What a socket of the bench may hold, in bytes; the kernel takes what it allows.
const HELD: usize = 4 << 20;

/// Datagrams that came in with one call.
pub(crate) struct Inbox<S> {
    buffer: Vec<u8>,
    headers: MultiHeaders<S>,
    lengths: [usize; BATCH],
    senders: [Option<SockaddrIn>; BATCH],
}

/// The address of a datagram's sender, or nothing for a connected socket.
pub(crate) trait Sender: nix::sys::socket::SockaddrLike + Copy {
    fn known(self) -> Option<SockaddrIn>;
}

impl Sender for () {
    fn known(self) -> Option<SockaddrIn> {
        None
    }
}

impl Sender for SockaddrIn {
    fn known(self) -> Option<SockaddrIn> {
        Some(self)
    }
}

impl<S: Sender> Inbox<S> {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BATCH * LARGEST],
            headers: MultiHeaders::preallocate(BATCH, None),
            lengths: [0; BATCH],
            senders: [None; BATCH],
        }
    }

    /// Takes what is there, and gives how many that are; waits for the first one if asked to.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        let mut chunks = self.buffer.chunks_exact_mut(LARGEST);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let flags = if wait {
            MsgFlags::MSG_WAITFORONE
        } else {
            MsgFlags::MSG_DONTWAIT
        };
        let got = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            flags,
            None,
        );
        let got = match got {
            Ok(got) => got,
            // Nothing there; or an earlier datagram was refused, which its timeout will find out.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let mut count = 0;
        for (message, (length, sender)) in
            got.zip(self.lengths.iter_mut().zip(self.senders.iter_mut()))
        {
            *length = message.bytes.min(LARGEST);
            *sender = message.address.and_then(S::known);
            count += 1;
        }
        Ok(count)
    }

    /// Gives a datagram of the last call.
    pub(crate) fn message(&self, number: usize) -> &[u8] {
        let begin = number * LARGEST;
        &self.buffer[begin..begin + self.lengths[number]]
    }
}

/// Datagrams that go out with one call on a connected socket.
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    headers: MultiHeaders<()>,
    lengths: [usize; BATCH],
    count: usize,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BATCH * LARGEST],
            headers: MultiHeaders::preallocate(BATCH, None),
            lengths: [0; BATCH],
            count: 0,
        }
    }

    /// Tells whether another message fits.
    pub(crate) fn has_room(&self) -> bool {
        self.count < BATCH
    }

    /// Adds a message under this id.
    pub(crate) fn put(&mut self, message: &[u8], id: u16) {
        let begin = self.count * LARGEST;
        self.buffer[begin..begin + message.len()].copy_from_slice(message);
        self.buffer[begin..begin + 2].copy_from_slice(&id.to_be_bytes());
        self.lengths[self.count] = message.len();
        self.count += 1;
    }

    /// Sends what was put in, and gives how many the kernel took, from the front; the rest is gone.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            return Ok(0);
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|number| {
            let begin = number * LARGEST;
            [IoSlice::new(
                &self.buffer[begin..begin + self.lengths[number]],
            )]
        });
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            &slices[..count],
            [None::<()>; BATCH],
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        match sent {
            Ok(sent) => Ok(sent.count()),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED | Errno::ENOBUFS) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens a socket from this address to the server.
pub(crate) fn connected(from: std::net::Ipv4Addr, to: SocketAddr) -> Result<UdpSocket, Failed> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_recv_buffer_size(HELD)?;
    socket.set_send_buffer_size(HELD)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Sends every datagram back as an answer, until the process is ended.
pub(crate) fn echo(at: SocketAddr) -> Result<(), Failed> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_recv_buffer_size(HELD)?;
    socket.bind(&at.into())?;
    let socket: UdpSocket = socket.into();
    let mut inbox = Inbox::<SockaddrIn>::new();
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    loop {
        let count = inbox.receive(&socket, true)?;
        for number in 0..count {
            // The QR bit; without it the client would take its own question for an answer.
            inbox.buffer[number * LARGEST + 2] |= 0x80;
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|number| [IoSlice::new(inbox.message(number))]);
        let mut sent = 0;
        while sent < count {
            let more = sendmmsg(
                socket.as_raw_fd(),
                &mut headers,
                &slices[sent..count],
                &inbox.senders[sent..count],
                [],
                MsgFlags::empty(),
            );
            // One that cannot be sent is skipped, as a server does.
            sent += more.map_or(1, |more| more.count().max(1));
        }
    }
}
