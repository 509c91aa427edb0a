//! Log lines on standard error in klog's form, by `-v` and `--vmodule`.
//!
//! Levels of klog become those of `tracing`: warnings and errors always, `info` at 0, `debug` at 1, `trace` at 4;
//! what other libraries say is shown from 8 on. Standard output is never written to.

use std::fmt::Write as _;
use std::io::Write as _;

use kubeadm_host::output::log_line;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// Starts logging. Later calls in one process do nothing.
pub(crate) fn start(level: i32, modules: &str) {
    // The text was checked when the flag was read.
    let modules = parse_modules(modules).unwrap_or_default();
    let subscriber = tracing_subscriber::registry().with(Klog { level, modules });
    // The only reason to fail is that there is one already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Reads `--vmodule`: a file's name without its ending (or a pattern with `*` and `?`), and its level.
/// k8s.io/klog: moduleSpec.Set.
pub(crate) fn parse_modules(text: &str) -> Result<Vec<(String, i32)>, String> {
    let mut modules = Vec::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let syntax = || "syntax error: expect comma-separated list of filename=N".to_owned();
        let (pattern, level) = part.split_once('=').ok_or_else(syntax)?;
        if pattern.is_empty() || level.is_empty() {
            return Err(syntax());
        }
        let level: i32 =
            level.parse().map_err(|_| "syntax error: expect comma-separated list of filename=N")?;
        if level < 0 {
            return Err("negative value for vmodule level".into());
        }
        modules.push((pattern.to_owned(), level));
    }
    Ok(modules)
}

struct Klog {
    level: i32,
    modules: Vec<(String, i32)>,
}

impl Klog {
    /// The level that holds for a place in the code.
    fn level_for(&self, metadata: &Metadata<'_>) -> i32 {
        let module = metadata.target().rsplit("::").next().unwrap_or_default();
        let own = self.modules.iter().find(|(pattern, _)| matches(pattern, module));
        own.map_or(self.level, |(_, level)| *level)
    }
}

impl<S: Subscriber> Layer<S> for Klog {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = metadata.target().starts_with("kubeadm");
        let needed = match *metadata.level() {
            Level::ERROR | Level::WARN | Level::INFO => 0,
            Level::DEBUG => 1,
            Level::TRACE => 4,
        };
        self.level_for(metadata) >= if ours { needed } else { needed.max(8) }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let letter = match *metadata.level() {
            Level::ERROR => 'E',
            Level::WARN => 'W',
            Level::INFO | Level::DEBUG | Level::TRACE => 'I',
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let file = metadata.file().and_then(|f| f.rsplit('/').next()).unwrap_or("kubeadm");
        let place = format!("{file}:{}", metadata.line().unwrap_or_default());
        let line = log_line(letter, &place, &format!("{}{}", fields.message, fields.others));
        // There is nowhere to report a closed standard error to.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..])),
        _ => match name.chars().next() {
            Some(c) if first == '?' || c == first => matches(rest, &name[c.len_utf8()..]),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name) in [("certs", "certs"), ("c*s", "certs"), ("*", ""), ("ce?ts", "certs")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("certs", "cert"), ("c*x", "certs"), ("?", "")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn module_lists() {
        assert_eq!(parse_modules("certs=2,a*=5"), Ok(vec![("certs".into(), 2), ("a*".into(), 5)]));
        assert!(parse_modules("certs").is_err());
        assert!(parse_modules("=2").is_err());
        assert_eq!(parse_modules("certs=-1"), Err("negative value for vmodule level".into()));
    }
}
