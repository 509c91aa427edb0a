//! Manual pages, one a command, written from the tree of [`crate::cli`] as help is. Section 1, as the pages are that
//! Kubernetes makes for its own programs (cmd/genman).

use roff::{Inline, Roff, bold, italic, roman};

use crate::cli::{Node, Verb};
use crate::flags::{Flag, Kind};
use crate::help::{GLOBAL, choices};
use crate::parse::flags_of;

/// A manual page.
#[derive(Debug)]
pub struct Page {
    /// Its file, such as `kubeadm-init.1`.
    pub file: String,
    /// Its text in roff.
    pub text: String,
}

/// The pages of every command that is not hidden, the root's first. They carry `date`.
pub fn pages(root: &Node, date: &str) -> Vec<Page> {
    let mut pages = Vec::new();
    add(&[root], date, &mut pages);
    pages
}

fn add(path: &[&Node], date: &str, pages: &mut Vec<Page>) {
    pages.push(Page { file: format!("{}.1", words(path).join("-")), text: page(path, date) });
    for child in visible(path) {
        let below: Vec<&Node> = path.iter().copied().chain([child]).collect();
        add(&below, date, pages);
    }
}

fn words<'n>(path: &[&'n Node]) -> Vec<&'n str> {
    path.iter().map(|node| node.name).collect()
}

fn visible<'n>(path: &[&'n Node]) -> impl Iterator<Item = &'n Node> {
    path.last().into_iter().flat_map(|node| &node.children).filter(|child| !child.hidden)
}

/// A reference to another page, as manuals write it.
fn reference(path: &[&Node]) -> [Inline; 2] {
    [bold(words(path).join("-")), roman("(1)")]
}

fn page(path: &[&Node], date: &str) -> String {
    let Some((node, parents)) = path.split_last() else { return String::new() };
    let mut page = Roff::new();
    let name = words(path).join("-");
    let program = concat!("kubeadm v", env!("CARGO_PKG_VERSION"));
    page.control("TH", [name.to_uppercase().as_str(), "1", date, program, "Kubernetes"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {}", node.about.trim_start_matches("kubeadm: ")))]);
    page.control("SH", ["SYNOPSIS"]);
    page.text(synopsis(path));
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(node.about), roman(if node.about.ends_with('.') { "" } else { "." })]);
    if !node.aliases.is_empty() {
        page.control("PP", []);
        page.text([roman("Other words for the command: "), bold(node.aliases.join(", ")), roman(".")]);
    }
    details(&mut page, &node.details);
    if visible(path).next().is_some() {
        page.control("SH", ["COMMANDS"]);
        for child in visible(path) {
            let below: Vec<&Node> = path.iter().copied().chain([child]).collect();
            page.control("TP", []);
            page.text(reference(&below));
            page.text([roman(child.about)]);
        }
    }
    let mut flags = flags_of(path);
    flags.retain(|flag| flag.deprecated.is_none());
    flags.sort_by_key(|flag| flag.name);
    let (global, own): (Vec<&Flag>, Vec<&Flag>) = flags.into_iter().partition(|f| GLOBAL.contains(&f.name));
    options(&mut page, "OPTIONS", &own);
    options(&mut page, "GLOBAL OPTIONS", &global);
    page.control("SH", ["SEE ALSO"]);
    match parents {
        [] => page.text([bold("kubelet"), roman("(1), "), bold("kubectl"), roman("(1)")]),
        parents => page.text(reference(parents)),
    };
    page.render()
}

fn synopsis(path: &[&Node]) -> Vec<Inline> {
    let Some(node) = path.last() else { return Vec::new() };
    let mut line = vec![bold(words(path).join(" "))];
    if !node.usage.is_empty() {
        line.extend([roman(" "), italic(node.usage)]);
    }
    line.extend([roman(" ["), italic("OPTIONS"), roman("]")]);
    match visible(path).next() {
        Some(_) if node.verb == Verb::Group => line.extend([roman(" "), italic("COMMAND")]),
        Some(_) => line.extend([roman(" ["), italic("COMMAND"), roman("]")]),
        None => {}
    }
    line
}

/// The long text of a command: paragraphs are filled, what is indented stays as it is.
fn details(page: &mut Roff, text: &str) {
    for block in text.trim_end().split("\n\n").filter(|block| !block.trim().is_empty()) {
        page.control("PP", []);
        let fixed = block.lines().all(|line| line.starts_with(' '));
        if fixed {
            page.control("nf", []);
        }
        for line in block.lines() {
            page.text([roman(if fixed { line } else { line.trim() })]);
        }
        if fixed {
            page.control("fi", []);
        }
    }
}

fn options(page: &mut Roff, title: &str, flags: &[&Flag]) {
    if flags.is_empty() {
        return;
    }
    page.control("SH", [title]);
    for flag in flags {
        let mut head = Vec::new();
        if let Some(letter) = flag.short {
            head.extend([bold(format!("-{letter}")), roman(", ")]);
        }
        head.push(bold(format!("--{}", flag.name)));
        if flag.kind != Kind::Bool {
            head.extend([roman(" "), italic(flag.kind.name())]);
        }
        page.control("TP", []);
        page.text(head);
        let default = match flag.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        page.text([roman(flag.help), roman(default)]);
        let choices = choices(flag);
        if !choices.is_empty() {
            page.text([roman("Options are:")]);
        }
        for choice in choices {
            page.text([Inline::LineBreak, roman(choice)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tree;

    fn page_of(file: &str) -> String {
        let pages = pages(&tree(), "2026-01-02");
        pages.into_iter().find(|page| page.file == file).map(|page| page.text).unwrap()
    }

    /// The line after another one.
    fn after<'t>(text: &'t str, line: &str) -> &'t str {
        text.lines().skip_while(|l| *l != line).nth(1).unwrap()
    }

    #[test]
    fn every_command_has_a_page_of_its_own() {
        fn count(node: &Node) -> usize {
            1 + node.children.iter().filter(|c| !c.hidden).map(count).sum::<usize>()
        }
        let pages = pages(&tree(), "2026-01-02");
        let mut files: Vec<&str> = pages.iter().map(|p| p.file.as_str()).collect();
        assert_eq!(files[0], "kubeadm.1");
        assert!(files.contains(&"kubeadm-init-phase-certs-apiserver.1"), "{files:?}");
        assert!(!files.contains(&"kubeadm-help.1"));
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), count(&tree()));
    }

    #[test]
    fn a_page_says_what_help_says() {
        let text = page_of("kubeadm-init.1");
        assert!(text.contains("\n.TH KUBEADM-INIT 1 2026-01-02 \"kubeadm v"), "{text}");
        let name = r"kubeadm\-init \- Run this command in order to set up the Kubernetes control plane";
        assert_eq!(after(&text, ".SH NAME"), name);
        assert_eq!(after(&text, ".SH SYNOPSIS"), r"\fBkubeadm init\fR [\fIOPTIONS\fR] [\fICOMMAND\fR]");
        assert!(text.contains(".nf\n  preflight "), "{text}");
        let bind = r"\fB\-\-apiserver\-bind\-port\fR \fIint32\fR";
        assert_eq!(after(&text, bind), "Port for the API Server to bind to. [default: 6443]");
        assert!(text.contains(".br\nRootlessControlPlane=true|false (ALPHA"), "{text}");
        assert!(
            after(&text, ".SH \"GLOBAL OPTIONS\"") == ".TP" && text.contains(r"\fB\-h\fR, \fB\-\-help\fR")
        );
        assert_eq!(after(&text, ".SH \"SEE ALSO\""), r"\fBkubeadm\fR(1)");
    }

    #[test]
    fn groups_need_a_command_and_flags_that_are_deprecated_are_left_out() {
        let group = page_of("kubeadm-config.1");
        assert_eq!(after(&group, ".SH SYNOPSIS"), r"\fBkubeadm config\fR [\fIOPTIONS\fR] \fICOMMAND\fR");
        assert!(group.contains(r"\fBkubeadm\-config\-images\fR(1)"), "{group}");
        let phase = page_of("kubeadm-init-phase-control-plane-apiserver.1");
        assert!(!phase.contains("extra\\-args"), "{phase}");
    }
}
