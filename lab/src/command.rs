//! Commands with their output and, where one could hang, a limit.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Result, progress};

/// How long a wait sleeps between two looks at something that raises no event.
const LOOK: Duration = Duration::from_millis(200);

/// Seconds before a download is tried again: a server that is away for a moment is back by then.
const PAUSES: [u64; 3] = [2, 5, 15];

/// What a finished command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Its exit status; 124 when it ran out of time, -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall time.
    pub took: Duration,
}

impl Output {
    fn new(command: String, left: &std::process::Output, took: Duration) -> Self {
        Self {
            command,
            code: left.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&left.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&left.stderr).into_owned(),
            took,
        }
    }

    /// Returns the output, or the error that tells what the command said last.
    pub fn success(self) -> Result<Self> {
        if self.code == 0 {
            return Ok(self);
        }
        Err(Error::Command {
            outcome: format!("exit status {} after {:.1} s", self.code, self.took.as_secs_f64()),
            tail: self.tail(25),
            command: self.command,
        })
    }

    /// Returns both streams, standard output first.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Returns the last lines of both streams.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// A command that runs beside this program.
#[derive(Debug)]
pub struct Running {
    line: String,
    waiting: std::thread::JoinHandle<(std::io::Result<std::process::Output>, Duration)>,
}

impl Running {
    /// Tells whether it has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.waiting.is_finished()
    }

    /// Waits for its end and returns what it left, whatever its exit status.
    pub fn finish(self) -> Result<Output> {
        let broken = |outcome: String| Error::Command {
            command: self.line.clone(),
            outcome: format!("cannot be waited for: {outcome}"),
            tail: String::new(),
        };
        let (left, took) = self.waiting.join().map_err(|_| broken("its thread panicked".into()))?;
        let left = left.map_err(|e| broken(e.to_string()))?;
        Ok(Output::new(self.line, &left, took))
    }
}

/// A command being put together.
#[derive(Debug)]
pub struct Run {
    inner: Command,
    line: String,
}

impl Run {
    /// Starts a command line with its program.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let line = program.as_ref().to_string_lossy().into_owned();
        Self { inner: Command::new(program), line }
    }

    /// Starts a command line that is ended when it takes longer than `limit`.
    pub fn limited(limit: Duration, program: impl AsRef<OsStr>) -> Self {
        let mut run = Self::new("timeout");
        run.inner.args(["-k", "5", &format!("{:.1}", limit.as_secs_f64())]).arg(&program);
        run.line = program.as_ref().to_string_lossy().into_owned();
        run
    }

    /// Runs a script in bash, which stops at its first failure.
    #[must_use]
    pub fn script(text: &str) -> Self {
        let mut run = Self::new("bash");
        run.inner.args(["-euc", text]);
        run.line = text.lines().next().unwrap_or_default().to_owned();
        run
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        for arg in args {
            self.line.push(' ');
            self.line.push_str(&arg.as_ref().to_string_lossy());
            self.inner.arg(arg);
        }
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn dir(mut self, path: &Path) -> Self {
        self.inner.current_dir(path);
        self
    }

    /// Gives up the wrapper, for what only the standard type can do.
    #[must_use]
    pub fn into_inner(self) -> Command {
        self.inner
    }

    /// Runs it and returns what it left, whatever its exit status.
    pub fn output(mut self) -> Result<Output> {
        let started = Instant::now();
        let output = self.inner.stdin(Stdio::null()).output().map_err(|e| self.not_started(&e))?;
        Ok(Output::new(self.line, &output, started.elapsed()))
    }

    /// Runs it and returns its standard output; another exit status than 0 is an error.
    pub fn read(self) -> Result<String> {
        Ok(self.output()?.success()?.stdout)
    }

    /// Runs it with its output passed on to ours; another exit status than 0 is an error.
    pub fn show(mut self) -> Result<()> {
        let status = self.inner.stdin(Stdio::null()).status().map_err(|e| self.not_started(&e))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Command { command: self.line, outcome: status.to_string(), tail: String::new() })
    }

    /// Starts it and does not wait: its output is kept and its time is taken while others run beside it.
    pub fn start(mut self) -> Result<Running> {
        let started = Instant::now();
        let command = self.inner.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|e| self.not_started(&e))?;
        let line = self.line;
        let waiting = std::thread::spawn(move || {
            let left = child.wait_with_output();
            (left, started.elapsed())
        });
        Ok(Running { line, waiting })
    }

    fn not_started(&self, error: &std::io::Error) -> Error {
        Error::Command {
            command: self.line.clone(),
            outcome: format!("cannot be started: {error}"),
            tail: String::new(),
        }
    }
}

/// Looks again and again until `look` returns a value. `look` returns what is still missing as its error text.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> std::result::Result<T, String>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let last = match look() {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        if started.elapsed() > limit {
            return Err(Error::Timeout { what: what.to_owned(), after: limit, last });
        }
        std::thread::sleep(LOOK);
    }
}

/// Tries what downloads, and tries it again after each of [`PAUSES`] while it fails. A failure that stays is the last try's.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for pause in PAUSES {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => progress::detail(format!("tried again in {pause} s: {error}")),
        }
        // A server that is away for a moment raises no event when it is back.
        std::thread::sleep(Duration::from_secs(pause));
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_command_tells_status_and_last_words() {
        let error = Run::script("echo first; echo last >&2; exit 3").read().unwrap_err().to_string();
        assert!(error.contains("exit status 3") && error.contains("last"), "{error}");
    }

    #[test]
    fn limit_ends_a_command() {
        let output = Run::limited(Duration::from_millis(200), "sleep").args(["60"]).output().unwrap();
        assert_eq!(output.code, 124);
    }

    #[test]
    fn commands_run_beside_each_other() {
        // Each waits for the other, and both for this test.
        let folder = tempfile::tempdir().unwrap();
        let script = "touch $0; until [ -e a -a -e b -a -e go ]; do sleep 0.01; done; echo $0";
        let both: Vec<Running> = ["a", "b"]
            .iter()
            .map(|word| Run::limited(Duration::from_secs(60), "bash").args(["-euc", script, word]))
            .map(|run| run.dir(folder.path()).start().unwrap())
            .collect();
        assert!(!both[0].ended());
        std::fs::write(folder.path().join("go"), "").unwrap();
        let said: Vec<String> = both.into_iter().map(|r| r.finish().unwrap().stdout).collect();
        assert_eq!(said, ["a\n", "b\n"]);
    }

    #[test]
    fn wait_reports_what_was_missing() {
        let error = wait_for::<()>("rain", Duration::ZERO, || Err("sun".into())).unwrap_err().to_string();
        assert!(error.contains("rain") && error.contains("sun"), "{error}");
    }
}
