//! How connections end at an instance: lost, closed by itself, or waited for in vain.

use super::{Cause, ClientAddr, ConnId, Event, Id, Kind, LinkId, Message, Side, World};
use super::{Input, RequestId, ServerStage};
use crate::model::time::Time;
use crate::sim::follow::{Flow, Heard};

impl World<'_> {
    /// An instance's end of a connection is gone, not by its own will.
    pub(in crate::sim) fn server_lost(
        &mut self,
        id: LinkId,
        (index, conn, client, request): (u32, ConnId, ClientAddr, Option<RequestId>),
        stage: ServerStage,
        cause: Cause,
    ) {
        let words = cause.words();
        match stage {
            ServerStage::Nothing | ServerStage::Closed => return,
            ServerStage::Hello => {
                let why = format!("no TLS ClientHello: {words}");
                return self.refused_conn(index, ConnId(0), client, why);
            }
            ServerStage::Tls => {
                self.refused_conn(index, conn, client, format!("TLS handshake: {words}"));
            }
            ServerStage::Ssh => self.refused_conn(index, conn, client, format!("ssh: {words}")),
            ServerStage::Web => self.leave(index, request),
            ServerStage::Tunnel => {
                let flow = self.flow_of(id);
                if let Some(at) = self.hold_gone(index, flow) {
                    let event = Event::TunnelGone(index, conn, words);
                    self.queue.push(at, Id::Proxy(index), event);
                    return self.break_streams(index, id);
                }
                let why = words.to_owned();
                self.feed_proxy(index, Input::TunnelClosed { conn, why });
                self.break_streams(index, id);
            }
        }
        self.feed_proxy(index, Input::ConnClosed { conn });
    }

    /// Tells an instance that a tunnel is over, no earlier than in the recorded run.
    pub(in crate::sim) fn tunnel_gone(
        &mut self,
        index: u32,
        conn: ConnId,
        flow: Option<Flow>,
        why: &'static str,
    ) {
        match self.hold_gone(index, flow) {
            Some(at) => {
                let event = Event::TunnelGone(index, conn, why);
                self.queue.push(at, Id::Proxy(index), event);
            }
            None => self.tunnel_gone_now(index, conn, why),
        }
    }

    fn hold_gone(&self, index: u32, flow: Option<Flow>) -> Option<Time> {
        let flow = self.named(flow?)?;
        self.hold_heard(index, Heard::Closed(flow))
    }

    /// Tells an instance that a tunnel is over.
    pub(in crate::sim) fn tunnel_gone_now(&mut self, index: u32, conn: ConnId, why: &str) {
        let why = why.to_owned();
        self.feed_proxy(index, Input::TunnelClosed { conn, why });
        self.feed_proxy(index, Input::ConnClosed { conn });
    }

    pub(super) fn refused_conn(
        &mut self,
        index: u32,
        conn: ConnId,
        client: ClientAddr,
        why: String,
    ) {
        let node = self.proxies[index as usize].node.clone();
        let client = Some(client);
        self.emit(&node, vec![Kind::ConnRefused { conn, client, why }]);
    }

    /// An instance waited long enough.
    pub(in crate::sim) fn server_timed_out(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (index, conn, client) = (link.proxy, link.conn, link.source);
        let (stage, request) = (link.server_stage, link.request);
        self.close(id, Side::Server, Message::Fin);
        match stage {
            ServerStage::Hello => {
                let why = String::from("TLS handshake: nothing came for 15s");
                return self.refused_conn(index, ConnId(0), client, why);
            }
            ServerStage::Tls => {
                let why = String::from("TLS handshake: nothing came for 30s");
                self.refused_conn(index, conn, client, why);
            }
            ServerStage::Ssh => {
                self.refused_conn(index, conn, client, String::from("no login within 30s"));
            }
            ServerStage::Web => self.leave(index, request),
            ServerStage::Nothing | ServerStage::Tunnel | ServerStage::Closed => return,
        }
        self.feed_proxy(index, Input::ConnClosed { conn });
    }
}
