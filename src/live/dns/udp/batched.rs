//! Datagrams in batches: one call receives what is there, one call sends the answers.
//!
//! A wildcard listener learns with each datagram which address it was sent to, and answers from it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6,
    SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg, sendmsg, setsockopt, sockopt,
};

use super::{DATAGRAM_MAX, DRAIN_MAX, Outlet, PATIENCE, QUERY_MAX, Worker};

/// How many datagrams one call moves at most: the more, the less a call costs each of them.
const BATCH: usize = 64;

/// How far the places of datagrams lie apart. Were it a multiple of a page, the first octets of all
/// of them would compete for the same few lines of the processor's cache.
const APART: usize = QUERY_MAX + 2 * CACHE_LINE;

/// How many octets a line of the processor's cache has; where it has others, nothing breaks.
const CACHE_LINE: usize = 64;

/// An address of the family of a listener: small where that is IPv4, since it is copied often.
trait Address: SockaddrLike + Copy {
    fn plain(self) -> SocketAddr;
}

impl Address for SockaddrIn {
    fn plain(self) -> SocketAddr {
        std::net::SocketAddrV4::from(self).into()
    }
}

impl Address for SockaddrIn6 {
    fn plain(self) -> SocketAddr {
        std::net::SocketAddrV6::from(self).into()
    }
}

/// Asks the system to say with each datagram which address it was sent to.
pub(super) fn tell_destination(socket: &UdpSocket, listen: SocketAddr) -> io::Result<()> {
    if listen.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    Ok(())
}

/// Sends one datagram from this address of ours.
pub(super) fn send_from(
    socket: &UdpSocket,
    bytes: &[u8],
    to: SocketAddr,
    local: SocketAddr,
) -> io::Result<()> {
    let source = Source::new(local.ip());
    sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        &[source.message()],
        MsgFlags::MSG_DONTWAIT,
        Some(&SockaddrStorage::from(to)),
    )?;
    Ok(())
}

/// Answers until the worker shall stop, and then what was received before.
pub(super) fn run(worker: &mut Worker) {
    if worker.outlet.bound.is_ipv4() {
        serve::<SockaddrIn>(worker);
    } else {
        serve::<SockaddrIn6>(worker);
    }
}

fn serve<A: Address>(worker: &mut Worker) {
    let mut batch = Batch::<A>::new(&worker.outlet);
    let mut left = DRAIN_MAX;
    loop {
        let stopping = worker.is_stopping();
        if stopping {
            if left == 0 {
                return;
            }
            left -= 1;
        }
        match batch.receive(&worker.outlet, stopping) {
            Ok(count) => {
                batch.answer(worker, count);
                batch.send(&worker.outlet);
            }
            // A timeout, or a signal: look whether to stop, and wait on.
            Err(Errno::EAGAIN | Errno::EINTR) => {
                if stopping {
                    return;
                }
                worker.responder.rest();
            }
            Err(error) => {
                tracing::debug!(%error, "a receive failed");
                if stopping {
                    return;
                }
                std::thread::sleep(PATIENCE);
            }
        }
    }
}

/// The memory of a worker; all of it is made once.
struct Batch<A> {
    inputs: Vec<u8>,
    /// The answers, one behind the other, so that few lines of the processor's cache hold them.
    outputs: Vec<u8>,
    receiving: MultiHeaders<A>,
    sending: MultiHeaders<A>,
    seen: [Seen<A>; BATCH],
    /// Where each answer stands among the outputs, its client and own address.
    places: [(usize, usize); BATCH],
    clients: [Option<A>; BATCH],
    locals: [IpAddr; BATCH],
    answers: usize,
}

/// What a call said of one datagram.
#[derive(Clone, Copy)]
struct Seen<A> {
    /// 0 for what is not to be answered.
    length: usize,
    client: Option<A>,
    local: IpAddr,
}

impl<A: Address> Batch<A> {
    fn new(outlet: &Outlet) -> Self {
        // Exactly what one message about the address takes: the system writes back how much it
        // used, which is then what it may use the next time.
        let room = || match outlet.bound {
            _ if !outlet.is_wildcard() => None,
            SocketAddr::V4(_) => Some(nix::cmsg_space!(in_pktinfo)),
            SocketAddr::V6(_) => Some(nix::cmsg_space!(in6_pktinfo)),
        };
        let bound = outlet.bound.ip();
        Self {
            inputs: vec![0; BATCH * APART],
            outputs: vec![0; BATCH * DATAGRAM_MAX],
            receiving: MultiHeaders::preallocate(BATCH, room()),
            sending: MultiHeaders::preallocate(BATCH, room()),
            seen: [Seen {
                length: 0,
                client: None,
                local: bound,
            }; BATCH],
            places: [(0, 0); BATCH],
            clients: [None; BATCH],
            locals: [bound; BATCH],
            answers: 0,
        }
    }

    /// Waits for datagrams and takes all that are there; gives how many.
    fn receive(&mut self, outlet: &Outlet, stopping: bool) -> Result<usize, Errno> {
        let mut inputs = self.inputs.chunks_exact_mut(APART);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = std::array::from_fn(|_| {
            let input = inputs.next().expect("there are as many as the batch has");
            [IoSliceMut::new(&mut input[..QUERY_MAX])]
        });
        let flags = if stopping {
            MsgFlags::MSG_DONTWAIT
        } else {
            MsgFlags::MSG_WAITFORONE
        };
        let fd = outlet.socket.as_raw_fd();
        let results = recvmmsg(fd, &mut self.receiving, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for (seen, message) in self.seen.iter_mut().zip(results) {
            *seen = Seen::of(&message, outlet);
            count += 1;
        }
        Ok(count)
    }

    /// Answers the datagrams that were taken.
    fn answer(&mut self, worker: &mut Worker, count: usize) {
        self.answers = 0;
        let port = worker.outlet.bound.port();
        let inputs = self.inputs.chunks_exact(APART);
        let mut end = 0_usize;
        for (seen, input) in self.seen[..count].iter().zip(inputs) {
            let Some(sender) = seen.client.map(A::plain) else {
                continue;
            };
            // A whole answer's room is left for each datagram of the batch.
            let output = self.outputs[end..].first_chunk_mut();
            let output = output.expect("there is room for as many as the batch has");
            let local = SocketAddr::new(seen.local, port);
            let length = worker.answer(&input[..seen.length], sender, local, output);
            if length > 0 {
                self.places[self.answers] = (end, end + length);
                end += length.next_multiple_of(CACHE_LINE);
                self.clients[self.answers] = seen.client;
                self.locals[self.answers] = seen.local;
                self.answers += 1;
            }
        }
    }

    /// Sends all answers, with one call for those that leave from one address.
    fn send(&mut self, outlet: &Outlet) {
        let mut at = 0;
        while at < self.answers {
            let local = self.locals[at];
            let same = self.locals[at..self.answers].iter();
            let end = at + same.take_while(|next| **next == local).count();
            match self.send_some(outlet, at, end) {
                Ok(sent) if sent > 0 => at += sent,
                Err(Errno::EINTR) => {}
                // The send buffer was full for as long as we wait: these are lost, as on the wire.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => at = end,
                // The first one cannot be sent, the others perhaps.
                result => {
                    tracing::debug!(error = ?result.err(), "an answer was not sent");
                    at += 1;
                }
            }
        }
    }

    fn send_some(&mut self, outlet: &Outlet, at: usize, end: usize) -> Result<usize, Errno> {
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|index| {
            let index = at + index;
            let bytes: &[u8] = if index < end {
                let (from, to) = self.places[index];
                &self.outputs[from..to]
            } else {
                &[]
            };
            [IoSlice::new(bytes)]
        });
        let source = Source::new(self.locals[at]);
        let control = [source.message()];
        let control: &[ControlMessage<'_>] = if outlet.is_wildcard() { &control } else { &[] };
        let results = sendmmsg(
            outlet.socket.as_raw_fd(),
            &mut self.sending,
            slices[..end - at].iter(),
            &self.clients[at..end],
            control,
            MsgFlags::empty(),
        )?;
        Ok(results.count())
    }
}

impl<A: Address> Seen<A> {
    fn of(message: &RecvMsg<'_, '_, A>, outlet: &Outlet) -> Self {
        // What was cut is not what was asked.
        let is_whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
        let told = if outlet.is_wildcard() {
            message.cmsgs().ok().and_then(|mut all| all.find_map(told))
        } else {
            Some(outlet.bound.ip())
        };
        Self {
            length: if is_whole && told.is_some() {
                message.bytes
            } else {
                0
            },
            client: message.address,
            local: told.unwrap_or_else(|| outlet.bound.ip()),
        }
    }
}

/// Gives the address of ours that a control message tells.
fn told(message: ControlMessageOwned) -> Option<IpAddr> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "others are not asked for")]
    match message {
        // The specific destination is a broadcast's own address, from which nobody may send.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

/// An address of ours, in the form in which the system is told to send from it.
enum Source {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Source {
    const fn new(local: IpAddr) -> Self {
        match local {
            IpAddr::V4(v4) => Self::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(v4.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(v6) => Self::V6(in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: v6.octets(),
                },
                ipi6_ifindex: 0,
            }),
        }
    }

    const fn message(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}
