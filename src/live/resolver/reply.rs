//! Between hickory's messages and the machine: a request becomes a question, its answer a reply.
//!
//! The reply holds only what fits: whole record sets, OPT always, TC when something that matters is
//! left out (RFC 2181 section 9, RFC 6891 section 7, RFC 9471 section 3).

use hickory_proto::op::{Edns as HickoryEdns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder};
use tracing::debug;

use crate::model::addr::{ClientAddr, ListenAddr};
use crate::policy::answer::{Edns, OwnEdns, PAYLOAD_MAX, Question, Transport};
use crate::policy::name::Name;
use crate::policy::resolver::Reply as Resolved;
use crate::policy::view::Subnet;

/// What every receiver takes without EDNS (RFC 1035 section 4.2.1).
const PAYLOAD_PLAIN: usize = 512;

/// Reads the question of a request.
pub(super) fn question(request: &Request, destination: ListenAddr) -> Question {
    let transport = if request.protocol() == Protocol::Udp {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    let queries = request.queries.queries();
    let only = queries.first().filter(|_| queries.len() == 1);
    Question {
        source: ClientAddr(request.src()),
        destination,
        transport,
        opcode: request.metadata.op_code,
        count: queries.len(),
        name: only.map_or(Name::ROOT, |query| query.original().name().into()),
        record_type: only.map_or(RecordType::ZERO, |query| query.query_type()),
        class: only.map_or(DNSClass::IN, |query| query.query_class()),
        recursion_desired: false,
        edns: request
            .edns
            .as_ref()
            .map(|edns| self::edns(edns, request.as_slice())),
    }
}

fn edns(edns: &HickoryEdns, bytes: &[u8]) -> Edns {
    let subnets = edns.options().get_all(EdnsCode::Subnet);
    let subnet = match subnets.first() {
        Some(EdnsOption::Subnet(subnet)) => Some(Subnet {
            address: subnet.addr(),
            source: subnet.source_prefix(),
            scope: subnet.scope_prefix(),
        }),
        _ => None,
    };
    Edns {
        version: edns.version(),
        payload: edns.max_payload(),
        dnssec_ok: edns.flags().dnssec_ok,
        subnet,
        subnet_broken: subnets.len() > 1 || subnet.is_some_and(|subnet| is_padded(bytes, subnet)),
        ..Edns::default()
    }
}

/// Tells whether the client-subnet option has more octets than its length asks for.
///
/// hickory drops them, and RFC 7871 section 6 calls that a format error; so the bytes are asked.
fn is_padded(bytes: &[u8], subnet: Subnet) -> bool {
    let expected = 4 + usize::from(subnet.source.div_ceil(8));
    subnet_length(bytes).is_some_and(|length| length != expected)
}

/// Finds the length of the client-subnet option of a message that hickory could parse.
fn subnet_length(bytes: &[u8]) -> Option<usize> {
    let count = |at: usize| u16_at(bytes, at).map(usize::from);
    let mut at = 12;
    for _ in 0..count(4)? {
        at = after_name(bytes, at)? + 4;
    }
    for _ in 0..count(6)? + count(8)? + count(10)? {
        at = after_name(bytes, at)?;
        let (kind, length) = (u16_at(bytes, at)?, count(at + 8)?);
        at += 10;
        if kind == u16::from(RecordType::OPT) {
            return option_length(bytes.get(at..at + length)?);
        }
        at += length;
    }
    None
}

fn option_length(mut options: &[u8]) -> Option<usize> {
    loop {
        let (code, length) = (u16_at(options, 0)?, usize::from(u16_at(options, 2)?));
        if code == u16::from(EdnsCode::Subnet) {
            return Some(length);
        }
        options = options.get(4 + length..)?;
    }
}

/// Gives where a name ends: at its root label or its first pointer (RFC 1035 section 4.1.4).
fn after_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return Some(at + 2),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

/// An answer as it is sent.
#[derive(Debug)]
pub(super) struct Reply {
    metadata: Metadata,
    edns: Option<HickoryEdns>,
    answer: Vec<Record>,
    authority: Vec<Record>,
    additional: Vec<Record>,
}

impl Reply {
    /// Takes of a resolver's answer what fits.
    pub(super) fn resolved(request: &Request, question: &Question, resolved: Resolved) -> Self {
        let Resolved {
            rcode,
            records,
            soa,
            errors: _,
        } = resolved;
        let edns = question.edns.map(|edns| {
            let own = OwnEdns {
                dnssec_ok: edns.dnssec_ok,
                ..OwnEdns::default()
            };
            out(own, rcode)
        });
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.recursion_available = true;
        metadata.response_code = rcode;
        let reply = Self {
            metadata,
            edns,
            answer: records,
            authority: soa.map(|soa| *soa).into_iter().collect(),
            additional: Vec::new(),
        };
        reply.within(request, question)
    }

    fn within(mut self, request: &Request, question: &Question) -> Self {
        let limit = limit(question);
        if self.size(request).is_none_or(|size| size > limit) {
            self.cut(request, limit);
        }
        self
    }

    /// Leaves out the glue, then the authority, then whole sets of the answer, until the rest fits.
    fn cut(&mut self, request: &Request, limit: usize) {
        self.metadata.truncation = true;
        while self.size(request).is_none_or(|size| size > limit) {
            // The asker comes back over TCP, so nothing is gained by the most that would fit.
            if !self.additional.is_empty() {
                self.additional.clear();
                continue;
            }
            if !self.authority.is_empty() {
                self.authority.clear();
                continue;
            }
            let Some(last) = self.answer.pop() else {
                return;
            };
            let same = |record: &mut Record| {
                record.record_type() == last.record_type() && record.name == last.name
            };
            while self.answer.pop_if(same).is_some() {}
        }
    }

    /// Gives the bytes of the message; `None` when it is above what any message holds.
    pub(super) fn size(&self, request: &Request) -> Option<usize> {
        self.render(request).map(|bytes| bytes.len())
    }

    /// Writes the message; `None` when it is above what any message holds.
    pub(super) fn render(&self, request: &Request) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(PAYLOAD_PLAIN);
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(u16::MAX);
        let info = self.message(request).destructive_emit(&mut encoder).ok()?;
        // hickory says by the flag that it left something out.
        (info.truncation == self.metadata.truncation).then_some(bytes)
    }

    /// Gives the message in hickory's form.
    pub(super) fn message<'a>(
        &'a self,
        request: &'a Request,
    ) -> MessageResponse<
        'a,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    > {
        MessageResponseBuilder::new(&request.queries, self.edns.as_ref()).build(
            self.metadata,
            &self.answer,
            &self.authority,
            [],
            &self.additional,
        )
    }
}

/// Writes EDNS of an answer.
fn out(edns: OwnEdns<'_>, rcode: ResponseCode) -> HickoryEdns {
    let mut out = HickoryEdns::new();
    out.set_max_payload(edns.payload);
    out.set_dnssec_ok(edns.dnssec_ok);
    out.set_rcode_high(u8::try_from(u16::from(rcode) >> 4).unwrap_or(0));
    if let Some(subnet) = edns.subnet {
        let option = ClientSubnet::new(subnet.address, subnet.source, subnet.scope);
        out.options_mut().insert(EdnsOption::Subnet(option));
    }
    out
}

/// How many bytes the asker takes.
fn limit(question: &Question) -> usize {
    match (question.transport, question.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => PAYLOAD_PLAIN,
        (Transport::Udp, Some(edns)) => {
            usize::from(edns.payload.min(PAYLOAD_MAX)).max(PAYLOAD_PLAIN)
        }
    }
}

/// Sends a reply; one that cannot be sent is nobody's loss but the client's.
pub(super) async fn send<R: ResponseHandler>(
    request: &Request,
    reply: &Reply,
    mut to: R,
) -> ResponseInfo {
    match to.send_response(reply.message(request)).await {
        Ok(info) => info,
        Err(error) => {
            debug!(%error, client = %request.src(), "the answer was not sent");
            nothing_sent(request)
        }
    }
}

/// Gives what hickory wants to hear when nothing was sent.
pub(super) fn nothing_sent(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    let counts = HeaderCounts::default();
    ResponseInfo::from(Header { metadata, counts })
}
