//! Every task has an owner that can stop it and waits for its end.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks with one stop signal. Clones are the same group.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    /// The groups that wait for this one's tasks too.
    above: Vec<TaskTracker>,
    token: CancellationToken,
}

impl Tasks {
    /// Makes an empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that is dropped when the group stops.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let token = self.token.clone();
        self.spawn_watching(async move { token.run_until_cancelled_owned(future).await })
    }

    /// Starts a task that watches the stop signal by itself and is only waited for.
    pub fn spawn_watching<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let seen: Vec<_> = self.above.iter().map(TaskTracker::token).collect();
        self.tracker.spawn(async move {
            let output = future.await;
            drop(seen);
            output
        })
    }

    /// Makes a group that also stops when this one does, and that this one waits for.
    pub fn child(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            above: self.above.iter().chain([&self.tracker]).cloned().collect(),
            token: self.token.child_token(),
        }
    }

    /// Gives the stop signal, for those who want to end by themselves.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Gives the stop signal without waiting.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Waits for all tasks of this group to end by themselves, without the stop signal.
    pub async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Gives the stop signal and waits for all tasks of this group, and of those below, to end.
    pub async fn stop(&self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
