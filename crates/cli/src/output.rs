//! Text of short commands on standard output, and errors on standard error. What phases say goes through the host's
//! output, which also knows of the progress line.

use std::io::Write as _;

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
