//! The conductor of a live lab: plays the timeline with the lab's own means.
//!
//! In go the beginning of a run and what is done by hand; the machine of `policy/conductor` decides
//! what is due. Faults are put in force at once; acts are done one after the other, in order. Every
//! lab has a conductor, one that only keeps faults by hand too: it is never told to begin.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::op::OpCode;
use hickory_proto::rr::DNSClass;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::Lab;
use crate::live::probe;
use crate::live::runner::{Runner, Shared};
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::expect::{AnswerCheck, Check};
use crate::model::fact::{Kind, Probed};
use crate::model::fault::Fault;
use crate::model::id::{FaultId, Name};
use crate::model::time::Span;
use crate::model::timeline::Condition;
use crate::policy::answer::{self, Question, Transport, rcode_word};
use crate::policy::conductor::{Conductor as Machine, Input, Output};
use crate::policy::faults::FAULTS_MAX;
use crate::policy::machines;
use crate::policy::zone::{read_name, read_type};
use crate::snapshot::condition;

/// How many acts wait for those before them: a timeline that asks for more at once is not kept up
/// with, and the run ends.
const ACTS_WAITING_MAX: usize = 1_024;

/// How many questions of expectations are open at once: one that is not answered stays for seconds.
const PROBES_MAX: usize = 256;

/// Why a run ends in which something could not be done.
const NOT_DONE: &str = "a step of the timeline could not be done";

/// The conductor of a lab. Clones are the same.
#[derive(Clone)]
pub struct Conductor {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner<Machine>,
    lab: Arc<Lab>,
    acts: mpsc::Sender<Output>,
    probes: Arc<Semaphore>,
    over: CancellationToken,
    /// How many acts are not done yet.
    waiting: AtomicUsize,
    /// What could not be done, in words.
    failures: Mutex<Vec<String>>,
}

/// As many faults are in force as a lab takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{FAULTS_MAX} faults are in force, and a lab takes no more; lift some with `twodoors fault clear`"
)]
pub struct Full;

impl Conductor {
    /// Makes the conductor of a lab and starts its clockwork; the lab stops it.
    pub fn start(lab: &Arc<Lab>) -> Self {
        // What it is told is not recorded: the timeline, which the recording holds, says it again.
        let shared = Shared {
            tap: None,
            ..lab.shared.clone()
        };
        let machine = machines::conductor(&shared.topology);
        let (acts, mut waiting) = mpsc::channel(ACTS_WAITING_MAX);
        let conductor = Self {
            inner: Arc::new(Inner {
                runner: Runner::new(machine, shared),
                lab: Arc::clone(lab),
                acts,
                probes: Arc::new(Semaphore::new(PROBES_MAX)),
                over: CancellationToken::new(),
                waiting: AtomicUsize::new(0),
                failures: Mutex::default(),
            }),
        };
        let runner = &conductor.inner.runner;
        runner.act_through(&conductor.inner, |inner, output| Self { inner }.act(output));
        let (own, tasks) = (runner.clone(), &lab.tasks);
        tasks.spawn(async move { own.drive(drop).await });
        let own = conductor.clone();
        tasks.spawn(async move {
            while let Some(act) = waiting.recv().await {
                if let Err(why) = own.obey(act).await {
                    own.fail(why);
                }
                own.inner.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        });
        conductor
    }

    /// Begins the run.
    pub fn begin(&self) {
        self.feed(Input::Begin);
    }

    /// Ends the run before its time.
    pub fn end(&self, why: &'static str) {
        self.feed(Input::End { why });
    }

    /// Lets happen now what the timeline has next; tells whether anything was left.
    pub fn step(&self) -> bool {
        let answers = self.inner.runner.feed(Input::Step);
        answers.contains(&Output::Stepped)
    }

    /// Waits for the end of the run.
    pub async fn ended(&self) {
        self.inner.over.cancelled().await;
    }

    /// Gives what the lab could not do of what the timeline asked for, in words.
    pub fn failures(&self) -> Vec<String> {
        self.failed().clone()
    }

    /// Sets a fault by hand and gives its number.
    pub fn set(&self, fault: Fault, lasts: Option<Span>) -> Result<FaultId, Full> {
        let answers = self.inner.runner.feed(Input::Set { fault, lasts });
        match answers[..] {
            [Output::Taken { fault }] => Ok(fault),
            _ => Err(Full),
        }
    }

    /// Lifts a fault by hand; tells whether it was in force.
    pub fn lift(&self, fault: FaultId) -> bool {
        let in_force = self.inner.lab.journal().ask(|state| {
            let mut faults = state.faults.iter();
            faults.any(|known| known.id == fault)
        });
        self.feed(Input::Lift { fault });
        in_force
    }

    /// Lifts all faults by hand; tells how many there were.
    pub fn clear(&self) -> usize {
        let count = self.inner.lab.journal().ask(|state| state.faults.len());
        self.feed(Input::Clear);
        count
    }

    fn feed(&self, input: Input) {
        drop(self.inner.runner.feed(input));
    }

    fn fail(&self, why: String) {
        tracing::warn!(%why, "a step of the timeline");
        self.failed().push(why);
        self.feed(Input::End { why: NOT_DONE });
    }

    fn failed(&self) -> MutexGuard<'_, Vec<String>> {
        let failures = self.inner.failures.lock();
        failures.unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts upon an output, or has it done after those before it.
    fn act(&self, output: Output) {
        let lab = &self.inner.lab;
        match output {
            Output::Await { wait, condition } => {
                let own = self.clone();
                lab.tasks.spawn(async move {
                    own.watch(&condition).await;
                    own.feed(Input::Holds { wait });
                });
            }
            Output::End => self.inner.over.cancel(),
            // At once, unless an act before them is still being done: the order of the file counts.
            Output::Faults(faults) if self.inner.waiting.load(Ordering::SeqCst) == 0 => {
                lab.set_faults(faults);
            }
            Output::Probe { expectation } => self.probe(expectation),
            Output::Act { .. }
            | Output::Certificate { .. }
            | Output::Faults(_)
            | Output::Record(_)
            | Output::Reload
            | Output::Roam(_) => {
                self.inner.waiting.fetch_add(1, Ordering::SeqCst);
                if self.inner.acts.try_send(output).is_err() {
                    self.fail(format!(
                        "more than {ACTS_WAITING_MAX} acts wait for those before them"
                    ));
                }
            }
            // It went to whoever asked.
            Output::Stepped | Output::Taken { .. } => {}
        }
    }

    /// Does an act to its end.
    async fn obey(&self, act: Output) -> Result<(), String> {
        let lab = Arc::clone(&self.inner.lab);
        let broke_off = |error: tokio::task::JoinError| format!("it broke off: {error}");
        match act {
            Output::Act { node, act } => {
                let done = lab.operate(&node, act).await;
                done.map_err(|error| format!("{act} {node}: {error}"))
            }
            Output::Certificate { names } => {
                let done = lab.certificate(&names);
                done.map_err(|error| format!("certificate: {error}"))
            }
            Output::Record(change) => {
                let done = tokio::task::spawn_blocking(move || lab.change_record(&change)).await;
                let done = done.map_err(broke_off)?;
                done.map(drop).map_err(|error| format!("record: {error}"))
            }
            // A reload that is refused is what may be tried: the journal says so.
            Output::Reload => {
                let done = tokio::task::spawn_blocking(move || lab.reload()).await;
                done.map(drop).map_err(broke_off)
            }
            Output::Roam(roam) => {
                let done = lab.roam(&roam.node, &roam.network, roam.address);
                done.map_err(|error| format!("roam {}: {error}", roam.node))
            }
            Output::Faults(faults) => {
                lab.set_faults(faults);
                Ok(())
            }
            Output::Await { .. }
            | Output::End
            | Output::Probe { .. }
            | Output::Stepped
            | Output::Taken { .. } => Ok(()),
        }
    }

    /// Waits until a condition holds.
    async fn watch(&self, condition: &Condition) {
        let lab = &self.inner.lab;
        let mut grown = lab.journal().watch();
        loop {
            let holds = |state: &_| condition::holds(condition, state, lab.topology());
            if lab.journal().ask(holds) || grown.changed().await.is_err() {
                return;
            }
        }
    }

    fn probe(&self, expectation: u32) {
        let lab = &self.inner.lab;
        let expected = usize::try_from(expectation).ok();
        let expected = expected.and_then(|index| lab.topology().expect.get(index));
        let Some(Check::Answer(check)) = expected.map(|expected| expected.check.clone()) else {
            return;
        };
        // One that is not asked is no evidence, for or against.
        let Ok(slot) = Arc::clone(&self.inner.probes).try_acquire_owned() else {
            tracing::warn!(expectation, "as many questions are open as the lab asks");
            return;
        };
        let own = self.clone();
        lab.tasks.spawn(async move {
            let probed = own.ask(expectation, check).await;
            if let Some(probed) = probed
                && !own.inner.over.is_cancelled()
            {
                own.inner.runner.measured(Kind::Probed(Box::new(probed)));
            }
            drop(slot);
        });
    }

    async fn ask(&self, expectation: u32, check: AnswerCheck) -> Option<Probed> {
        let name = read_name(&check.name).ok()?;
        let record_type = read_type(&check.rtype)?;
        let lab = &self.inner.lab;
        let question = Question {
            source: ClientAddr((check.from, 0).into()),
            destination: ListenAddr(lab.dns()),
            transport: Transport::Udp,
            opcode: OpCode::Query,
            count: 1,
            name,
            record_type,
            class: DNSClass::IN,
            recursion_desired: false,
            edns: None,
        };
        let answered = probe::ask(check.from, lab.dns(), &name.to_hickory(), record_type).await;
        let view = answered.as_ref().and_then(|answered| {
            // The wire does not name the view: it is the one that answers so by the rules now.
            let rules = lab.rules();
            let decided = answer::decide(&rules, &question);
            let records = decided.records();
            let records = records.filter(|record| record.record_type == record_type);
            let data: Vec<String> = records.map(|record| record.data_words()).collect();
            let same = rcode_word(decided.rcode) == answered.rcode && data == answered.data;
            let view = decided.view.filter(|_| same)?;
            Some(view.name.clone())
        });
        let (rcode, data) = match answered {
            Some(answered) => (Some(Name::from(answered.rcode)), answered.data),
            None => (None, Vec::new()),
        };
        Some(Probed {
            expectation,
            from: check.from,
            name: check.name,
            rtype: check.rtype,
            view,
            rcode,
            answer: data.into_iter().map(Name::from).collect(),
        })
    }
}
