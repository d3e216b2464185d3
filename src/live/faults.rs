//! The faults in force in a live lab: one value, swapped whole, and who hears of a swap.
//!
//! What a fault does is `policy/faults`'s answer. Here is only where everybody finds the faults now
//! in force, and how flows and listeners learn that there are others.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::policy::faults::Faults;

/// The faults in force. Clones are the same.
#[derive(Clone, Default)]
pub struct InForce {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    faults: watch::Sender<Arc<Faults>>,
    /// As many as there are doors.
    told: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
}

impl InForce {
    /// Gives the faults in force now.
    pub fn current(&self) -> Arc<Faults> {
        Arc::clone(&self.inner.faults.borrow())
    }

    /// Puts these, and no others, in force. When it returns, every open flow has its new orders.
    pub fn set(&self, faults: Faults) {
        self.inner.faults.send_replace(Arc::new(faults));
        // A copy, so that whoever is told may ask for anything here.
        let told = self.told().clone();
        for tell in told {
            tell();
        }
    }

    /// Gives a receiver that is woken by each swap.
    pub fn watch(&self) -> watch::Receiver<Arc<Faults>> {
        self.inner.faults.subscribe()
    }

    /// Has `tell` called after each swap, before [`Self::set`] returns; it must not block.
    pub fn tell(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.told().push(Arc::new(tell));
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Vec<Arc<dyn Fn() + Send + Sync>>> {
        self.inner
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::fault::{Effect, Fault, Target};
    use crate::model::id::{FaultId, Node};

    #[test]
    fn whoever_is_told_sees_the_new_faults_before_the_swap_returns() {
        let faults = InForce::default();
        let seen = Arc::new(AtomicUsize::new(0));
        let (asked, count) = (faults.clone(), Arc::clone(&seen));
        faults.tell(move || {
            count.fetch_add(asked.current().iter().count(), Ordering::Relaxed);
        });
        let mut watch = faults.watch();
        assert!(!watch.has_changed().unwrap());
        let fault = Fault {
            target: Target::Node(Node::Proxy("1".into())),
            effect: Effect::Pause,
        };
        faults.set(Faults::default().with(FaultId(1), fault));
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        assert!(
            watch
                .borrow_and_update()
                .is_paused(&Node::Proxy("1".into()))
        );
        faults.set(Faults::default());
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        assert!(watch.has_changed().unwrap());
    }
}
