//! Standard output and standard error, and a line in place that says what is being waited for.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Zoned;
use kubeadm_engine::ports::{Output, Progress};

/// Goes to the start of the line and erases it.
const ERASE: &str = "\r\x1b[K";

/// The streams of this process.
pub struct HostOutput {
    terminal: bool,
    /// Whether a progress line stands on the terminal.
    shown: Mutex<bool>,
}

impl HostOutput {
    /// The streams of this process; progress is shown if standard error is a terminal that can erase a line.
    pub fn from_process() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { terminal: std::io::stderr().is_terminal() && !dumb, shown: Mutex::new(false) }
    }

    /// Removes the progress line and holds others off while something else is written.
    fn cleared(&self) -> MutexGuard<'_, bool> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *shown) {
            print_to(&mut std::io::stderr().lock(), ERASE);
        }
        shown
    }
}

impl Output for HostOutput {
    fn say(&self, text: &str) {
        let _lock = self.cleared();
        print_to(&mut std::io::stdout().lock(), &format!("{text}\n"));
    }

    fn warn(&self, text: &str) {
        let _lock = self.cleared();
        print_to(&mut std::io::stderr().lock(), &log_line('W', "kubeadm.rs:1", text));
    }

    fn note(&self, text: &str) {
        let _lock = self.cleared();
        print_to(&mut std::io::stderr().lock(), &format!("{}\n", text.trim_end_matches('\n')));
    }

    fn confirm(&self, question: &str) -> bool {
        let _lock = self.cleared();
        print_to(&mut std::io::stdout().lock(), question);
        let mut answer = String::new();
        // Who cannot be asked has not agreed.
        let read = std::io::stdin().lock().read_line(&mut answer).is_ok();
        read && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}

impl Progress for HostOutput {
    fn progress(&self, text: &str) {
        let mut shown = self.cleared();
        if !self.terminal || text.is_empty() {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        let width = rustix::termios::tcgetwinsize(&stderr).map_or(80, |size| usize::from(size.ws_col));
        // A line that wraps could not be erased.
        let line: String =
            text.chars().filter(|c| !c.is_control()).take(width.max(20).saturating_sub(1)).collect();
        print_to(&mut stderr, &line);
        *shown = true;
    }
}

/// What this process says now, as a line of a log in the form of klog; `place` is the file and line that say it.
pub fn log_line(severity: char, place: &str, text: &str) -> String {
    klog(severity, &Zoned::now(), std::process::id(), place, text)
}

/// Letter, month and day, local time, process id in seven columns, where it comes from.
/// k8s.io/klog/v2, `internal/buffer/buffer.go` FormatHeader.
fn klog(severity: char, now: &Zoned, pid: u32, place: &str, text: &str) -> String {
    let time = now.strftime("%m%d %H:%M:%S.%6f");
    format!("{severity}{time} {pid:7} {place}] {}\n", text.trim_end_matches('\n'))
}

/// A reader that went away (`kubeadm … | head -1`) is no reason to fail.
fn print_to(stream: &mut dyn Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_have_klogs_form() {
        let now: Zoned = "2026-11-23T15:48:18.474179+01:00[+01:00]".parse().unwrap();
        for text in ["kubelet service does not exist", "kubelet service does not exist\n"] {
            assert_eq!(
                klog('W', &now, 14233, "kubeadm.rs:1", text),
                "W1123 15:48:18.474179   14233 kubeadm.rs:1] kubelet service does not exist\n"
            );
        }
    }
}
