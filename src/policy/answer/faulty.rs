//! What the faults in force do to an answer before the zones are asked.
//!
//! In go the rules, the question and the answer with the client's own view in it; the answer comes
//! out with the view and the generation that answer in truth, or ended. Faults act by the view that
//! the client has now, and by the address that the question came from: a client-subnet option moves
//! nobody to another link.

use hickory_proto::op::ResponseCode;

use crate::model::fault::Effect;
use crate::policy::faults::Answering;

use super::reason::{Acting, Note, Step};
use super::{Answer, Question, Rules};

/// Applies the faults; tells whether the answer has ended by that.
pub(super) fn apply<'r>(answer: &mut Answer<'r>, rules: &'r Rules, question: &Question) -> bool {
    let client = question.source.ip();
    let (topology, faults) = (&*rules.topology, &rules.faults);
    let own = answer.view.map(|view| &view.name);
    let acting: Vec<_> = faults.on_answers(topology, client, own).collect();
    let mut done = Answering::default();
    for (_, fault) in &acting {
        done.add(&fault.effect);
    }
    answer.latency = done.latency;
    answer.jitter = done.jitter;
    let ended = done.dropped || done.servfail;
    for (id, fault) in acting {
        let note = match &fault.effect {
            // What will not be answered is not looked for elsewhere.
            Effect::Stale | Effect::ViewFlip { .. } if ended => continue,
            Effect::Stale => stale(answer, rules, question),
            Effect::ViewFlip { .. }
            | Effect::Blackhole
            | Effect::Drop
            | Effect::HalfOpen
            | Effect::Jitter(_)
            | Effect::Latency(_)
            | Effect::Partition
            | Effect::Pause
            | Effect::Refuse
            | Effect::ResetPeer
            | Effect::ServFail
            | Effect::TtlFloor(_) => Note::Plain,
        };
        let id = *id;
        answer.reason.faults.push(Acting { id, fault, note });
    }
    if done.dropped {
        answer.dropped = true;
        answer.reason.step = Step::Dropped;
    } else if done.servfail {
        answer.rcode = ResponseCode::ServFail;
        answer.reason.step = Step::Failed;
    } else {
        flip(answer);
    }
    ended
}

/// Lets the generation before answer.
fn stale<'r>(answer: &mut Answer<'r>, rules: &'r Rules, question: &Question) -> Note<'r> {
    let Some(previous) = &rules.previous else {
        return Note::NotStale;
    };
    if answer.selected.is_some() {
        answer.generation = previous.generation;
        answer.views = &previous.views;
        answer.selector = &previous.selector;
        answer.choose(&previous.selector, question);
    }
    Note::Stale(previous.generation)
}

/// Lets another view answer, of whichever generation does; the newest flip wins.
fn flip(answer: &mut Answer<'_>) {
    let Some(own) = answer.view else {
        return;
    };
    let views = answer.views;
    for acting in &mut answer.reason.faults {
        let Effect::ViewFlip { to } = &acting.fault.effect else {
            continue;
        };
        let found = views.iter().find(|view| view.name == *to);
        acting.note = match found {
            Some(view) => {
                answer.view = Some(view);
                let (from, to) = (&own.name, &view.name);
                Note::Flipped { from, to }
            }
            None => Note::NoView,
        };
    }
}
