//! How grave a decision is, for those who look over many.

use crate::model::fact::{Act, Ended, Fact, Health, Kind};

/// How grave it is. In the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Worth a look.
    Notice,
    /// Something went wrong.
    Bad,
}

impl Severity {
    /// Gives the one word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Notice => "notice",
            Self::Bad => "bad",
        }
    }
}

/// Gives how grave a decision is; `None` for what is none: counts, samples that went well, and the
/// first start of each node.
pub fn severity(fact: &Fact) -> Option<Severity> {
    use Severity::{Bad, Fine, Notice};
    Some(match &fact.kind {
        Kind::Checked { .. }
        | Kind::DnsCarried(_)
        | Kind::DnsCounted { .. }
        | Kind::DnsForwarded { .. } => return None,
        Kind::Probed(_) | Kind::ServiceChosen { .. } | Kind::GossipSent { .. } => return None,
        Kind::DnsAnswered(answered) => match &*answered.rcode {
            "NOERROR" => Fine,
            "NXDOMAIN" => Notice,
            _ => Bad,
        },
        Kind::Operated { act: Act::Start } => Fine,
        Kind::HealthChanged { to, .. } => match to {
            Health::Up => Fine,
            Health::Falling | Health::Rising | Health::Unknown => Notice,
            Health::Down => Bad,
        },
        Kind::FlowClosed { how, .. } => match how {
            Ended::Finished | Ended::ClientError => Fine,
            Ended::Cut => Notice,
            Ended::BackendError => Bad,
        },
        Kind::RequestEnded { status, .. } => match status {
            0 | 500.. => Bad,
            400..500 => Notice,
            _ => Fine,
        },
        Kind::VisitAnswered(answered) if answered.status >= 500 => Bad,
        Kind::AddressFound { .. }
        | Kind::Claimed { .. }
        | Kind::DoorUsed { .. }
        | Kind::Drained
        | Kind::FlowConnected { .. }
        | Kind::FlowOpened { .. }
        | Kind::MeshComplete { .. }
        | Kind::Peered { .. }
        | Kind::Pinged { .. }
        | Kind::ProxiesKnown { .. }
        | Kind::Ready
        | Kind::Redirected { .. }
        | Kind::Resolved(_)
        | Kind::Routed { .. }
        | Kind::RunBegan { .. }
        | Kind::RunEnded { .. }
        | Kind::SessionBegun { .. }
        | Kind::StandInRegistered { .. }
        | Kind::StepBegan { .. }
        | Kind::StepEnded { .. }
        | Kind::TunnelRegistered { .. }
        | Kind::VisitAnswered(_) => Fine,
        Kind::Advised { .. }
        | Kind::BackingOff { .. }
        | Kind::CertificateChanged { .. }
        | Kind::FaultLifted { .. }
        | Kind::FaultSet { .. }
        | Kind::Finding { .. }
        | Kind::Operated { .. }
        | Kind::Reloaded { .. }
        | Kind::Roamed { .. }
        | Kind::TunnelRemoved { .. } => Notice,
        Kind::ClientRefused { .. }
        | Kind::ConnRefused { .. }
        | Kind::ConnectFailed { .. }
        | Kind::DialFailed { .. }
        | Kind::NoBackend { .. }
        | Kind::NoTunnel { .. }
        | Kind::ReloadRefused { .. }
        | Kind::StreamCut { .. }
        | Kind::TunnelLost { .. }
        | Kind::TunnelOffline { .. }
        | Kind::VisitFailed { .. } => Bad,
    })
}
