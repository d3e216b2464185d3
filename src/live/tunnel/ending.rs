//! How tunnels and streams end, alike for both ends of a tunnel.
//!
//! In goes what is to be said, and to whom; nothing here waits for long, because whoever is told may
//! be gone.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stream::OnCut;
use crate::live::tasks::Tasks;

/// How long a closing tunnel may take to say so, to the other side and to its owner.
const GOODBYE: Duration = Duration::from_secs(1);

/// Closes a tunnel once `goodbye` was said, or could not be.
pub(super) fn close(
    tasks: &Tasks,
    goodbye: impl Future<Output = Result<(), russh::Error>> + Send + 'static,
) {
    let token = tasks.token();
    tasks.spawn_watching(async move {
        // Whether it could be said or not, the tunnel closes.
        if let Ok(Ok(())) = timeout(GOODBYE, goodbye).await {
            let _ = timeout(GOODBYE, token.cancelled()).await;
        }
        token.cancel();
    });
}

/// Tells the owner of a tunnel that it is gone.
pub(super) async fn tell<E>(events: mpsc::Sender<E>, closed: E) {
    // Nobody listening is no reason to keep a task.
    let _ = timeout(GOODBYE, events.send(closed)).await;
}

/// Reports the cut of a stream, in words, as the event that `event` makes of them.
pub(super) fn report<E: Send + 'static>(
    events: mpsc::WeakSender<E>,
    token: CancellationToken,
    event: impl FnOnce(String) -> E + Send + 'static,
) -> OnCut {
    Box::new(move |why| {
        Box::pin(async move {
            if let Some(events) = events.upgrade() {
                // Nobody listening is no reason to keep a task.
                tokio::select! {
                    _ = events.send(event(why)) => {}
                    () = token.cancelled() => {}
                }
            }
        })
    })
}

/// Reports nothing: for a stream whose reader is our own.
pub(super) fn unreported() -> OnCut {
    Box::new(|_| Box::pin(std::future::ready(())))
}
