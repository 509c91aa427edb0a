//! Standard output and standard error: the only place of this crate that writes to them, besides the log.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kubeadm_engine::ports::Output;

/// Writes text and a line end to standard output. A reader that went away is not an error, as for `yes | head`.
pub(crate) fn line(text: &str) {
    text_as_is(&format!("{text}\n"));
}

/// Writes text to standard output as it is.
pub(crate) fn text_as_is(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes text to standard error as it is.
pub(crate) fn note(text: &str) {
    // There is nowhere to report a closed standard error to.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The output of long commands. On a terminal the current wait is shown in place, below the lines already said.
#[derive(Default)]
pub(crate) struct Terminal {
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    /// Hides the progress while something is written.
    fn above(&self, write: impl FnOnce()) {
        let bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Output for Terminal {
    fn say(&self, text: &str) {
        self.above(|| line(text));
    }

    fn warn(&self, text: &str) {
        self.above(|| tracing::warn!("{text}"));
    }

    fn note(&self, text: &str) {
        self.above(|| note(&format!("{}\n", text.trim_end_matches('\n'))));
    }

    fn progress(&self, text: &str) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if text.is_empty() {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            // The template is a constant that parses; without it the default style is used.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        bar.set_message(text.to_owned());
    }
}
