//! Reads what a dry run prints: the API requests with their bodies, and the log lines between them.

use serde_json::{Map, Value, json};

/// What standard output holds.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// API requests in order: verb, resource, group, name, namespace, body.
    pub(crate) requests: Vec<Value>,
    /// All other lines, without the content of files.
    pub(crate) lines: Vec<String>,
}

#[derive(PartialEq, Clone, Copy)]
enum Inside {
    Log,
    Body,
    File,
}

/// Splits the output of a dry run. The original up to 1.25 indents bodies by a tab, later ones print them as they are.
pub(crate) fn parse(text: &str) -> Log {
    let tabbed = text.lines().any(|l| l.starts_with("\tapiVersion:"));
    let mut log = Log::default();
    let mut request: Option<Map<String, Value>> = None;
    let mut body: Option<String> = None;
    let mut inside = Inside::Log;
    for line in text.split('\n') {
        let indented = line.starts_with('\t');
        if tag(line).is_some() {
            inside = Inside::Log;
        }
        if let Some(next) = action(line) {
            finish(&mut log, request.take(), body.take());
            request = Some(next);
            log.lines.push(line.to_owned());
            continue;
        }
        if let (Some(current), Some(rest)) = (&mut request, line.strip_prefix("[dryrun] Resource name")) {
            let mut quoted = rest.split('"').skip(1).step_by(2);
            current.insert("name".into(), quoted.next().unwrap_or_default().into());
            if let Some(namespace) = quoted.next() {
                current.insert("namespace".into(), namespace.into());
            }
            log.lines.push(line.to_owned());
            continue;
        }
        let attached =
            line.starts_with("[dryrun] Attached object") || line.starts_with("[dryrun] Attached patch");
        if attached && request.is_some() {
            (inside, body) = (Inside::Body, Some(String::new()));
            log.lines.push(line.to_owned());
            continue;
        }
        if line.starts_with("[dryrun] Would write file") {
            inside = Inside::File;
            log.lines.push(line.to_owned());
            continue;
        }
        let success = ["control-plane ", "control plane ", "master "];
        let ends =
            line.strip_prefix("Your Kubernetes ").is_some_and(|l| success.iter().any(|s| l.starts_with(s)));
        if ends || (line.starts_with('[') && inside == Inside::File) || (tabbed && !indented) {
            inside = Inside::Log;
        }
        match inside {
            Inside::Body => {
                let line = if indented { &line[1..] } else { line };
                if let Some(body) = &mut body {
                    *body += line;
                    body.push('\n');
                }
            }
            Inside::File => {}
            Inside::Log if indented && tabbed && !line.starts_with("\t--") => {}
            Inside::Log => log.lines.push(line.to_owned()),
        }
    }
    finish(&mut log, request, body);
    log
}

/// Returns the word of a `[word] …` line.
pub(crate) fn tag(line: &str) -> Option<&str> {
    let (word, rest) = line.strip_prefix('[')?.split_once(']')?;
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    (is_word && rest.starts_with(' ')).then_some(word)
}

fn action(line: &str) -> Option<Map<String, Value>> {
    let rest = line.strip_prefix("[dryrun] Would perform action ")?;
    let (verb, rest) = rest.split_once(" on resource ")?;
    let mut quoted = rest.split('"').skip(1).step_by(2);
    let request = json!({"verb": verb, "resource": quoted.next()?, "group": quoted.next()?});
    request.as_object().cloned()
}

fn finish(log: &mut Log, request: Option<Map<String, Value>>, body: Option<String>) {
    let Some(mut request) = request else { return };
    if let Some(body) = body {
        let body = hide_authority(&body);
        match kubeadm_yaml::parse_value(&body, "body") {
            Ok(value) => request.insert("body".into(), value),
            Err(_) => request.insert("rawBody".into(), body.into()),
        };
    }
    log.requests.push(request.into());
}

/// Replaces the CA's certificate in a kubeconfig within a text.
pub(crate) fn hide_authority(text: &str) -> String {
    const FIELD: &str = "certificate-authority-data: ";
    let mut hidden = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(FIELD) {
        let (before, after) = rest.split_at(at + FIELD.len());
        hidden += before;
        hidden += "<ca certificate>";
        let after = after.strip_prefix("<ca certificate>").unwrap_or(after);
        let end = after.find(|c: char| c.is_whitespace() || c == '\\' || c == '"').unwrap_or(after.len());
        rest = &after[end..];
    }
    hidden + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_lines_are_told_apart() {
        let text = "[init] Using Kubernetes version: v1.37.2\n\
            [dryrun] Would write file \"/etc/a.yaml\" with content:\nkind: Pod\n[certs] made\n\
            [dryrun] Would perform action CREATE on resource \"configmaps\" in API group \"core/v1\"\n\
            [dryrun] Attached object:\ndata:\n  a: b\n[addons] done\n\
            [dryrun] Would perform action GET on resource \"nodes\" in API group \"core/v1\"\n\
            [dryrun] Resource name \"cp1\", namespace \"\"\n";
        let log = parse(text);
        assert_eq!(log.requests.len(), 2);
        assert_eq!(log.requests[0]["body"]["data"]["a"], "b");
        assert_eq!(log.requests[1]["name"], "cp1");
        let kept: Vec<&str> = log.lines.iter().filter_map(|l| tag(l)).filter(|t| *t != "dryrun").collect();
        assert_eq!(kept, ["init", "certs", "addons"]);
    }

    #[test]
    fn authority_is_hidden_once() {
        let text = "a\\n certificate-authority-data: QUJD\\n server: x";
        let hidden = "a\\n certificate-authority-data: <ca certificate>\\n server: x";
        assert_eq!(hide_authority(text), hidden);
        assert_eq!(hide_authority(hidden), hidden);
    }
}
