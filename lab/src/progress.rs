//! What a person watching the lab sees: one line a step, with the seconds since the start.
//!
//! The only module of the lab that prints.
#![allow(clippy::print_stdout)]

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// How often a long step says that it is still at work.
const REMINDER: Duration = Duration::from_secs(30);

fn elapsed() -> f64 {
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Prints a step.
pub fn step(text: impl AsRef<str>) {
    println!("[{:7.1}s] {}", elapsed(), text.as_ref());
    flush();
}

/// Prints something that belongs to the step before it.
pub fn detail(text: impl AsRef<str>) {
    for line in text.as_ref().lines() {
        println!("           {line}");
    }
    flush();
}

/// Prints a line as it is, for results that other programs read.
pub fn plain(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
    flush();
}

/// A closed pipe is no reason to stop a run that has nodes to clean up.
fn flush() {
    let _ = std::io::stdout().flush();
}

/// Prints a step, does it, and tells every half minute that it still runs.
pub fn during<T>(text: impl AsRef<str>, work: impl FnOnce() -> T) -> T {
    let text = text.as_ref();
    step(text);
    let started = Instant::now();
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(REMINDER) == Err(RecvTimeoutError::Timeout) {
                step(format!("… still: {text} ({:.0} s)", started.elapsed().as_secs_f64()));
            }
        });
        let result = work();
        drop(done);
        result
    })
}
