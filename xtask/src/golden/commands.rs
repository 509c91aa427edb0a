//! Commands with plain output: a recorded command in the words of a program that serves every release, and its output
//! without what may differ.

use super::compare::text_difference;
use super::{Case, read};
use kubeadm_lab::Result;

/// Commands whose content followed from the version of the original itself.
const OF_OWN_VERSION: &[&[&str]] = &[
    &["config", "migrate"],
    &["config", "print", "init-defaults"],
    &["config", "print", "join-defaults"],
    &["config", "print-default"],
    &["config", "validate"],
];

/// The arguments of a recorded command: to a program of all releases one has to say which is meant.
pub(super) fn arguments(case: &Case) -> Vec<String> {
    let mut args = super::record::arguments(case);
    if !case.is_newest() && OF_OWN_VERSION.iter().any(|words| begins(&args, words)) {
        args.extend(["--kubernetes-version".to_owned(), case.kubelet.clone()]);
    }
    args
}

fn begins(args: &[String], words: &[&str]) -> bool {
    args.iter().zip(words).filter(|(arg, word)| arg == *word).count() == words.len()
}

/// Compares the exit status: to the number for the newest minor, whose numbers are ours for every release.
pub(super) fn exit(case: &Case, code: i32) -> Result<Vec<String>> {
    let theirs = read(&case.folder.join("exit"))?;
    let (theirs, ours) = (theirs.trim(), code.to_string());
    let same = if case.is_newest() { theirs == ours } else { (theirs == "0") == (code == 0) };
    Ok(if same { Vec::new() } else { vec![format!("exit status should be {theirs}, is {ours}")] })
}

/// Compares what was printed. The output of a command that is refused is no content.
pub(super) fn stdout(case: &Case, ours: &str) -> Result<Vec<String>> {
    if read(&case.folder.join("exit"))?.trim() != "0" && !case.is_newest() {
        return Ok(Vec::new());
    }
    let given = read(&case.folder.join("in.yaml")).unwrap_or_default();
    let theirs = read(&case.folder.join("stdout"))?;
    Ok(text_difference(&settled(&theirs, &given, case), &settled(ours, &given, case)))
}

/// The time-out whose default the original forgot wherever it read no v1beta3, and what it is.
const FORGOTTEN: (&str, &str) =
    ("controlPlaneComponentHealthCheck: 0s", "controlPlaneComponentHealthCheck: 4m0s");

/// A text without random tokens and, for minors other than the newest, in today's form of output: which API structured
/// output has is a matter of the program, what it lists is one of the release.
fn settled(text: &str, given: &str, case: &Case) -> String {
    let line = |line: &str| {
        let mut line = line.to_owned();
        if let Some((before, token)) = line.split_once("token: ").filter(|(_, token)| is_token(token))
            && !given.contains(token)
            && token != PLACEHOLDER
        {
            line = format!("{before}token: <random token>");
        }
        if case.is_newest() {
            return line + "\n";
        }
        if let Some((before, version)) = line.split_once("output.kubeadm.k8s.io/") {
            let rest = version.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            line = format!("{before}output.kubeadm.k8s.io/<newest>{rest}");
        }
        line.replace(FORGOTTEN.0, FORGOTTEN.1) + "\n"
    };
    text.split_inclusive('\n').map(|l| line(l.trim_end_matches('\n'))).collect()
}

/// The token of printed defaults.
const PLACEHOLDER: &str = "abcdef.0123456789abcdef";

fn is_token(text: &str) -> bool {
    let is = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric());
    text.split_once('.').is_some_and(|(id, secret)| is(id, 6) && is(secret, 16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_release::NEWEST_MINOR;

    fn newest() -> Case {
        case(&format!("1.{NEWEST_MINOR}"))
    }

    fn case(minor: &str) -> Case {
        let folder = tempfile::tempdir().map(|d| d.path().to_owned()).unwrap_or_default();
        Case { minor: minor.into(), kind: "commands", name: "x".into(), folder, kubelet: "v1.20.15".into() }
    }

    #[test]
    fn only_random_tokens_are_hidden() {
        let text =
            "  token: tlapm2.j183cas1ikyd83l6\n  token: abcdef.0123456789abcdef\n  tlsBootstrapToken: x\n";
        let hidden = "  token: <random token>\n  token: abcdef.0123456789abcdef\n  tlsBootstrapToken: x\n";
        assert_eq!(settled(text, "", &newest()), hidden);
        assert_eq!(settled(text, "token: tlapm2.j183cas1ikyd83l6", &newest()), text);
    }

    #[test]
    fn the_form_of_output_counts_for_the_newest_only() {
        let text = "\"apiVersion\": \"output.kubeadm.k8s.io/v1alpha1\",\n";
        assert_eq!(settled(text, "", &newest()), text);
        let old = settled(text, "", &case("1.20"));
        assert_eq!(old, settled(&text.replace("v1alpha1", "v1alpha3"), "", &case("1.20")));
        assert!(old.ends_with("\",\n"), "{old}");
    }

    #[test]
    fn words_are_compared_from_the_start() {
        let args = ["config", "print", "init-defaults", "--component-configs", "x"].map(str::to_owned);
        assert!(begins(&args, &["config", "print", "init-defaults"]));
        assert!(!begins(&args, &["print"]) && !begins(&args[..2], &["config", "print", "init-defaults"]));
    }
}
