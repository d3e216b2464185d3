//! Any bytes as a DNS message, through a worker: read, decide, write.

use hickory_proto::op::Message;
use twodoors::live::dns::ByHand;
use twodoors::policy::answer::{PAYLOAD_MAX, Transport};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// It has no header, or is a response.
    Ignored,
    /// It was answered FORMERR.
    Malformed,
    /// It was answered otherwise.
    Answered,
}

/// The response code of a message that cannot be read (RFC 1035 section 4.1.1).
const FORMERR: u8 = 1;

/// Feeds one message; checks what must hold of every answer.
pub(crate) fn feed(worker: &mut ByHand, bytes: &[u8], from: &str, tcp: bool) -> Met {
    let source = from.parse().expect("the test gives an address and a port");
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    let to = ([127, 0, 0, 1], 53).into();
    let Some(answer) = worker.answer(bytes, (source, to), transport) else {
        assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0, "{bytes:x?}");
        return Met::Ignored;
    };
    assert!(
        tcp || answer.len() <= usize::from(PAYLOAD_MAX),
        "{bytes:x?}"
    );
    assert_eq!(answer[..2], bytes[..2], "the id is another: {bytes:x?}");
    assert_ne!(answer[2] & 0x80, 0, "not a response: {bytes:x?}");
    assert_eq!(
        answer[2] & 0x79,
        bytes[2] & 0x79,
        "opcode and RD: {bytes:x?}"
    );
    Message::from_vec(answer).unwrap_or_else(|error| panic!("{error}: {bytes:x?}"));
    match answer[3] & 0xf {
        FORMERR => Met::Malformed,
        _ => Met::Answered,
    }
}
