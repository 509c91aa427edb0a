//! Trying again, with pauses that grow.

use std::fmt::Display;
use std::time::Duration;

use crate::ports::{Clock, RuntimeError};

/// Asks until an answer is good, or another try would not help (`again`), or the limit is over.
pub(crate) async fn retry<T, E: Display, F: Future<Output = Result<T, E>>>(
    clock: &dyn Clock,
    limit: Duration,
    ask: impl Fn() -> F,
    again: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut tries = Backoff::start(clock);
    loop {
        match ask().await {
            Err(error) if tries.waited() < limit && again(&error) => {
                tracing::debug!(%error, "trying again");
            }
            outcome => return outcome,
        }
        tries.pause().await;
    }
}

/// Asks the container runtime, and again for a while if it is only slow.
pub(crate) async fn of_runtime<T, F: Future<Output = Result<T, RuntimeError>>>(
    clock: &dyn Clock,
    ask: impl Fn() -> F,
) -> Result<T, RuntimeError> {
    retry(clock, RUNTIME_PATIENCE, ask, RuntimeError::is_late).await
}

/// How long a container runtime that listens is given to answer a question that everything else depends on.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(20);

/// The tries at one thing: how long they have taken so far, and the pause before the next.
pub(crate) struct Backoff<'a> {
    clock: &'a dyn Clock,
    start: Duration,
    pause: Duration,
    longest: Duration,
    refused: Option<Duration>,
}

impl<'a> Backoff<'a> {
    /// Begins now, with pauses that suit requests to a server.
    pub(crate) fn start(clock: &'a dyn Clock) -> Self {
        Self::between(Duration::from_millis(50), Duration::from_secs(1), clock)
    }

    /// Begins now. Each pause is twice the one before it, from the first to the longest.
    pub(crate) fn between(first: Duration, longest: Duration, clock: &'a dyn Clock) -> Self {
        Self { clock, start: clock.elapsed(), pause: first, longest, refused: None }
    }

    /// Time since the beginning.
    pub(crate) fn waited(&self) -> Duration {
        self.clock.elapsed() - self.start
    }

    /// Time since the first try that was refused, for whoever calls this after each that is: a server that has just come up
    /// refuses everything until it knows the cluster's tokens and rights, however long it was waited for before.
    pub(crate) fn refused(&mut self) -> Duration {
        let now = self.clock.elapsed();
        now - *self.refused.get_or_insert(now)
    }

    /// The pause before the next try, for whoever waits for something that may end it.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        pause
    }

    /// Returns when it is time for the next try.
    pub(crate) async fn pause(&mut self) {
        let pause = self.next();
        self.clock.pause(pause).await;
    }
}
