//! Asks the lab's DNS one question from an address, as `dig -b` would, and says what came back.
//!
//! Over UDP with EDNS, over TCP when the answer did not fit. There is no cache and no search list:
//! what is seen is what the server sends now.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::forward::exchange;
use crate::policy::answer::{PAYLOAD_MAX, rcode_word};
use crate::policy::zone::rdata_words;

/// How long one try waits; the server is on this machine, or a fault holds it up.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A datagram may be lost where buffers are full; a second loss is no accident.
const ATTEMPTS: u16 = 2;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The response code.
    pub rcode: &'static str,
    /// The data of the records of the type asked, as a zone file has it.
    pub data: Vec<String>,
}

/// Asks for a name and type; `None` when there is no answer in time.
pub async fn ask(
    from: IpAddr,
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
) -> Option<Answered> {
    for id in 1..=ATTEMPTS {
        let query = query(id, name, record_type);
        match timeout(TIMEOUT, exchange(server, from, &query)).await {
            Ok(Ok(answer)) => return Some(read(&answer, record_type)),
            Ok(Err(error)) => tracing::debug!(%error, %from, "a question was not answered"),
            Err(_) => {}
        }
    }
    None
}

fn query(id: u16, name: &Name, record_type: RecordType) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name.clone(), record_type));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD_MAX);
    message.edns = Some(edns);
    message
}

fn read(answer: &Message, record_type: RecordType) -> Answered {
    let records = answer.answers.iter();
    let records = records.filter(|record| record.record_type() == record_type);
    Answered {
        rcode: rcode_word(answer.metadata.response_code),
        data: records.map(|record| rdata_words(&record.data)).collect(),
    }
}
