//! The Corefile: the default of each release, and what becomes of one that is already in the cluster.
//!
//! A Corefile that is a default of any release is replaced by the new default. Any other is the user's: it is kept, and
//! rewritten only where the new CoreDNS would refuse it or lacks a new default. Whatever is not understood is left
//! alone.

use std::fmt::Write as _;

use kubeadm_release::facts::addons::{Corefile as Facts, Forwarder};
use kubeadm_release::facts::corefile::{CorefileChange, changes};

/// Upstream servers of pods' names that are not the cluster's, unless somebody says otherwise.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a Corefile names besides its release's plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The cluster's domain.
    pub domain: String,
    /// Upstream servers, separated by blanks.
    pub servers: String,
    /// Federations of an older kube-dns: name and domain.
    pub federations: Vec<(String, String)>,
    /// Stub domains of an older kube-dns: domain and its servers.
    pub stub_domains: Vec<(String, Vec<String>)>,
}

/// The default Corefile.
pub fn default(facts: &Facts, names: &Names) -> String {
    let domain = &names.domain;
    let mut text = String::from(".:53 {\n    errors\n    health");
    text.push_str(if facts.lameduck { " {\n       lameduck 5s\n    }\n" } else { "\n" });
    if facts.ready {
        text.push_str("    ready\n");
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "    kubernetes {domain} in-addr.arpa ip6.arpa {{\n       pods insecure\n");
    if facts.upstream {
        text.push_str("       upstream\n");
    }
    text.push_str("       fallthrough in-addr.arpa ip6.arpa\n");
    if facts.ttl {
        text.push_str("       ttl 30\n");
    }
    text.push_str("    }\n");
    if !names.federations.is_empty() {
        let _ = writeln!(text, "    federation {domain} {{");
        for (name, domain) in &names.federations {
            let _ = writeln!(text, "       {name} {domain}");
        }
        text.push_str("    }\n");
    }
    let forwarder = name_of(facts.forwarder);
    let _ = write!(text, "    prometheus :9153\n    {forwarder} . {}", names.servers);
    text.push_str(match facts.forwarder {
        Forwarder::ForwardConcurrent => " {\n       max_concurrent 1000\n    }\n",
        Forwarder::Proxy | Forwarder::Forward => "\n",
    });
    text.push_str("    cache 30");
    if facts.cache_disabled {
        let _ = write!(text, " {{\n       disable success {domain}\n       disable denial {domain}\n    }}");
    }
    text.push('\n');
    let looped = facts.loop_loadbalance;
    text.push_str(if looped { "    loop\n    reload\n    loadbalance\n}\n" } else { "    reload\n}\n" });
    for (domain, servers) in &names.stub_domains {
        let guard = if looped { "    loop\n" } else { "" };
        let servers = servers.join(" ");
        let _ = write!(
            text,
            "{domain}:53 {{\n    errors\n    cache 30\n{guard}    {forwarder} . {servers}\n}}\n"
        );
    }
    text
}

fn name_of(forwarder: Forwarder) -> &'static str {
    match forwarder {
        Forwarder::Proxy => "proxy",
        Forwarder::Forward | Forwarder::ForwardConcurrent => "forward",
    }
}

/// What is to be done about a Corefile that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is empty or a default: the new default takes its place.
    Replace,
    /// It is the user's and fits.
    Retain,
    /// It is the user's and has to be rewritten like this.
    Migrate(String),
    /// It is the user's, and whether it fits cannot be told; CoreDNS must not be replaced under it.
    Unknown(String),
}

/// Judges an existing Corefile, written for the CoreDNS of one image tag, for that of another.
pub fn judge(existing: &str, domain: &str, installed: Option<&str>, wanted: &str) -> Verdict {
    if existing.trim().is_empty() || is_default(existing, domain) {
        return Verdict::Replace;
    }
    let Some(installed) = installed.filter(|tag| *tag != wanted) else { return Verdict::Retain };
    let Some(changes) = changes(installed, wanted) else {
        return Verdict::Unknown(format!("cannot tell what changed from CoreDNS {installed} to {wanted}"));
    };
    if changes.is_empty() {
        return Verdict::Retain;
    }
    let mut corefile = match Corefile::parse(existing) {
        Ok(corefile) => corefile,
        Err(reason) => return Verdict::Unknown(reason),
    };
    let before = corefile.clone();
    for change in changes {
        if let Err(reason) = corefile.change(change) {
            return Verdict::Unknown(reason);
        }
    }
    if corefile == before { Verdict::Retain } else { Verdict::Migrate(corefile.to_text()) }
}

/// Whether a Corefile is a default of any release. Order and spacing do not matter.
fn is_default(existing: &str, domain: &str) -> bool {
    let names = Names { domain: domain.into(), servers: RESOLV_CONF.into(), ..Names::default() };
    let Ok(existing) = Corefile::parse(existing) else { return false };
    let existing = existing.sorted();
    Facts::defaults()
        .iter()
        .any(|facts| Corefile::parse(&default(facts, &names)).is_ok_and(|known| known.sorted() == existing))
}

/// A Corefile, read as far as its structure goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Corefile {
    blocks: Vec<Block>,
}

/// A server block.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    /// `.:53`
    keys: Vec<String>,
    plugins: Vec<Plugin>,
}

/// A plugin, as words, with its options, as words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Plugin {
    words: Vec<String>,
    options: Vec<Vec<String>>,
}

impl Plugin {
    fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|words| words[0] == option)
    }
}

impl Corefile {
    /// Reads server blocks, plugins and options. Snippets, imports and deeper nesting are refused: what they stand
    /// for is not to be seen here.
    fn parse(text: &str) -> Result<Self, String> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut depth = 0;
        for (index, line) in text.lines().enumerate() {
            let failed = |what: &str| format!("line {} of the Corefile {what}", index + 1);
            let mut words = words(line).map_err(failed)?;
            let opens = words.last().is_some_and(|w| w == "{");
            if opens {
                words.pop();
            }
            match (depth, words.as_slice()) {
                (_, []) if !opens => {}
                (1 | 2, [close]) if close == "}" => depth -= 1,
                (_, found) if found.iter().any(|w| w == "{" || w == "}") => {
                    return Err(failed("has a brace where none is expected"));
                }
                (_, [first, ..]) if first == "import" || first.starts_with('(') => {
                    return Err(failed("uses a snippet or an import"));
                }
                (0, [_, ..]) if opens => {
                    blocks.push(Block { keys: words, plugins: Vec::new() });
                    depth = 1;
                }
                (1, [_, ..]) => {
                    if let Some(block) = blocks.last_mut() {
                        block.plugins.push(Plugin { words, options: Vec::new() });
                    }
                    depth += i32::from(opens);
                }
                (2, [_, ..]) if !opens => {
                    if let Some(plugin) = blocks.last_mut().and_then(|b| b.plugins.last_mut()) {
                        plugin.options.push(words);
                    }
                }
                _ => return Err(failed("is not understood")),
            }
        }
        if depth == 0 { Ok(Self { blocks }) } else { Err("the Corefile ends within a block".into()) }
    }

    fn sorted(mut self) -> Self {
        for block in &mut self.blocks {
            for plugin in &mut block.plugins {
                plugin.options.sort();
            }
            block.plugins.sort();
        }
        self.blocks.sort();
        self
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            let _ = writeln!(text, "{} {{", block.keys.join(" "));
            for plugin in &block.plugins {
                let _ = write!(text, "    {}", plugin.words.join(" "));
                if !plugin.options.is_empty() {
                    text.push_str(" {\n");
                    for option in &plugin.options {
                        let _ = writeln!(text, "       {}", option.join(" "));
                    }
                    text.push_str("    }");
                }
                text.push('\n');
            }
            text.push_str("}\n");
        }
        text
    }

    fn change(&mut self, change: CorefileChange) -> Result<(), String> {
        for block in &mut self.blocks {
            match change {
                CorefileChange::AddPlugin { name, beside } => {
                    let has = |name: &str| block.plugins.iter().any(|p| p.name() == name);
                    if !has(name) && beside.iter().any(|b| has(b)) {
                        block.plugins.push(Plugin { words: vec![name.into()], options: Vec::new() });
                    }
                }
                CorefileChange::AddOption { plugin: name, option } => {
                    for plugin in block.plugins.iter_mut().filter(|p| p.name() == name && !p.has(option[0])) {
                        plugin.options.push(option.iter().map(|w| (*w).to_owned()).collect());
                    }
                }
                CorefileChange::RemoveOption { plugin: name, option } => {
                    for plugin in block.plugins.iter_mut().filter(|p| p.name() == name) {
                        plugin.options.retain(|words| words[0] != option);
                    }
                }
                CorefileChange::RemovePlugin { name } => block.plugins.retain(|p| p.name() != name),
                CorefileChange::ProxyToForward => block.proxy_to_forward()?,
                CorefileChange::TransferPlugin => block.move_transfer(),
            }
        }
        Ok(())
    }
}

impl Block {
    /// Options that `forward` does not have are dropped: it checks its servers by itself.
    fn proxy_to_forward(&mut self) -> Result<(), String> {
        let several = self.plugins.iter().filter(|p| matches!(p.name(), "proxy" | "forward")).count() > 1;
        for plugin in self.plugins.iter_mut().filter(|p| p.name() == "proxy") {
            if several {
                // Each would need a server block of its own, with copies of the other plugins.
                return Err("a server block has several proxy plugins, and forward may occur once".into());
            }
            plugin.words[0] = "forward".into();
            let force_tcp = |words: &[String]| {
                let word = |n: usize| words.get(n).map(String::as_str);
                matches!((word(0), word(1)), (Some("protocol"), Some("force_tcp")))
            };
            plugin.options = std::mem::take(&mut plugin.options)
                .into_iter()
                .filter_map(|words| match words[0].as_str() {
                    _ if force_tcp(&words) => Some(vec!["force_tcp".into()]),
                    "policy" if words.get(1).is_some_and(|w| w == "least_conn") => None,
                    "policy" | "except" => Some(words),
                    _ => None,
                })
                .collect();
        }
        Ok(())
    }

    /// `transfer to A B` within `kubernetes ZONE` becomes `transfer ZONE { to A B }`.
    fn move_transfer(&mut self) {
        let mut moved = Vec::new();
        for plugin in self.plugins.iter_mut().filter(|p| p.name() == "kubernetes") {
            let zone = plugin.words.get(1).cloned();
            let (transfers, kept) = std::mem::take(&mut plugin.options)
                .into_iter()
                .partition(|words: &Vec<_>| words[0] == "transfer");
            plugin.options = kept;
            let options: Vec<Vec<String>> = transfers
                .into_iter()
                .map(|words: Vec<String>| words[1..].to_vec())
                .filter(|w| w.len() > 1)
                .collect();
            if !options.is_empty() {
                let words = std::iter::once("transfer".to_owned()).chain(zone).collect();
                moved.push(Plugin { words, options });
            }
        }
        self.plugins.extend(moved);
    }
}

/// The words of a line up to a comment; quoted ones keep their quotes.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                word.push('"');
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => word.extend(['\\'].into_iter().chain(chars.next())),
                        Some(c) => word.push(c),
                        None => return Err("has a quoted text that does not end"),
                    }
                }
                word.push('"');
            }
            '#' if word.is_empty() => break,
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { domain: "cluster.local".into(), servers: RESOLV_CONF.into(), ..Names::default() }
    }

    #[test]
    fn every_default_is_known_and_replaced() {
        for facts in Facts::defaults() {
            let text = default(&facts, &names());
            assert_eq!(judge(&text, "cluster.local", Some("1.1.3"), "v1.14.6"), Verdict::Replace, "{text}");
            // Read and written again it is still the same.
            let again = Corefile::parse(&text).unwrap().to_text();
            assert_eq!(again, text);
        }
        assert_eq!(judge(" \n", "cluster.local", None, "v1.14.6"), Verdict::Replace);
    }

    #[test]
    fn the_users_own_is_kept() {
        let newest = Facts::defaults().pop().unwrap();
        let own = default(&newest, &Names { servers: "192.0.2.53".into(), ..names() });
        assert_eq!(judge(&own, "cluster.local", Some("v1.11.1"), "v1.14.6"), Verdict::Retain);
        assert_eq!(judge(&own, "cluster.local", None, "v1.14.6"), Verdict::Retain);
        assert!(matches!(judge(&own, "cluster.local", Some("custom"), "v1.14.6"), Verdict::Unknown(_)));
    }

    #[test]
    fn an_old_one_is_rewritten_for_a_new_coredns() {
        let old = "# mine
.:53 {
    errors # all
    health
    kubernetes cluster.local in-addr.arpa {
       upstream
       transfer to * 192.0.2.1
       pods insecure
    }
    federation cluster.local {
       a b
    }
    proxy . 8.8.8.8 1.1.1.1 {
       policy least_conn
       except example.com
       health_check /x
    }
    cache 30
}
";
        let Verdict::Migrate(new) = judge(old, "cluster.local", Some("1.1.3"), "v1.14.6") else { panic!() };
        assert_eq!(
            new,
            ".:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa {
       pods insecure
    }
    forward . 8.8.8.8 1.1.1.1 {
       except example.com
       max_concurrent 1000
    }
    cache 30
    loop
    ready
    transfer cluster.local {
       to * 192.0.2.1
    }
}
"
        );
        // What was migrated needs nothing more.
        assert_eq!(judge(&new, "cluster.local", Some("1.1.3"), "v1.14.6"), Verdict::Retain);
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for text in
            ["(s) {\n}\n", ".:53 {\n import x\n}\n", ".:53 {\n a {\n b {\n }\n }\n}\n", ".:53 {\n", "a } b\n"]
        {
            assert!(matches!(judge(text, "d", Some("1.1.3"), "1.14.6"), Verdict::Unknown(_)), "{text}");
        }
        let two = ".:53 {\n proxy a 1.1.1.1\n proxy b 2.2.2.2\n}\n";
        assert!(matches!(judge(two, "d", Some("1.1.3"), "1.14.6"), Verdict::Unknown(_)));
    }

    #[test]
    fn what_kube_dns_was_told_is_kept() {
        let oldest = Facts::defaults()[1];
        let names = Names {
            federations: vec![("foo".into(), "foo.fed.com".into())],
            stub_domains: vec![("acme.local".into(), vec!["1.2.3.4".into(), "5.6.7.8".into()])],
            servers: "8.8.8.8 8.8.4.4".into(),
            ..names()
        };
        let text = default(&oldest, &names);
        assert!(
            text.contains(
                "    }\n    federation cluster.local {\n       foo foo.fed.com\n    }\n    prometheus"
            ),
            "{text}"
        );
        assert!(text.contains("    proxy . 8.8.8.8 8.8.4.4\n"), "{text}");
        assert!(
            text.ends_with(
                "}\nacme.local:53 {\n    errors\n    cache 30\n    loop\n    proxy . 1.2.3.4 5.6.7.8\n}\n"
            ),
            "{text}"
        );
    }
}
