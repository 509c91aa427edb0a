//! Trying again, with pauses that grow.

use std::time::Duration;

use crate::ports::Clock;

/// The tries at one thing: how long they have taken so far, and the pause before the next.
pub(crate) struct Backoff<'a> {
    clock: &'a dyn Clock,
    start: Duration,
    pause: Duration,
}

/// The first pause; each is twice the one before it, up to [`SLOW`].
const QUICK: Duration = Duration::from_millis(50);
const SLOW: Duration = Duration::from_secs(1);

impl<'a> Backoff<'a> {
    /// Begins now.
    pub(crate) fn start(clock: &'a dyn Clock) -> Self {
        Self { clock, start: clock.elapsed(), pause: QUICK }
    }

    /// Time since the beginning.
    pub(crate) fn waited(&self) -> Duration {
        self.clock.elapsed() - self.start
    }

    /// Returns when it is time for the next try.
    pub(crate) async fn pause(&mut self) {
        self.clock.pause(self.pause).await;
        self.pause = (self.pause * 2).min(SLOW);
    }
}
