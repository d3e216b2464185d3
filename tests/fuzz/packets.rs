//! Any bytes as a DNS message, through the path of the listeners: parse, decide, render.

use hickory_proto::op::Message;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::Request;
use twodoors::live::dns::{Reply, question};
use twodoors::model::addr::ListenAddr;
use twodoors::policy::answer::{PAYLOAD_MAX, Rules, decide};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// hickory could not parse it and answers FORMERR by itself.
    Unparsed,
    /// It was answered.
    Answered,
}

/// Feeds one message; checks what must hold of every answer.
pub(crate) fn feed(rules: &Rules, bytes: &[u8], from: &str, tcp: bool) -> Met {
    let source = from.parse().expect("the test gives an address and a port");
    let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
    let Ok(request) = Request::from_bytes(bytes.to_vec(), source, protocol) else {
        return Met::Unparsed;
    };
    let listen = ListenAddr(([127, 0, 0, 1], 53).into());
    let question = question(&request, listen);
    let answer = decide(rules, &question);
    let words = format!("{} {:?}", answer.reason, answer.rule());
    let reply = Reply::fit(&request, &question, answer);
    let rendered = reply.render(&request).expect("what fits can be written");
    assert!(tcp || rendered.len() <= usize::from(PAYLOAD_MAX), "{words}");
    assert_eq!(rendered[..2], bytes[..2], "the id is another: {words}");
    assert_ne!(rendered[2] & 0x80, 0, "not a response: {words}");
    if question.count == 1 {
        Message::from_vec(&rendered).unwrap_or_else(|error| panic!("{words}: {error}"));
    }
    Met::Answered
}
