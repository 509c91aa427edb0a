//! From what the user wrote for a Kubernetes version to one version: exact texts, labels, and what to do when a label
//! cannot be looked up.
//!
//! Source: `app/util/version.go`, v1.37. The looking up itself is the caller's.

use kubeadm_release::{Bucket, Reference, ReferenceError, Version, skew};

use crate::detect::FetchError;
use crate::error::{ConfigError, Notice};

/// A version and where its images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The version.
    pub version: Version,
    /// Whether it is a continuous build.
    pub ci: bool,
}

/// Resolves a text. `client` is kubeadm's own version: the newest that a label may stand for, and what is used when
/// the internet does not answer.
pub fn resolve(
    text: &str,
    client: &Version,
    fetch: &mut dyn FnMut(&str) -> Result<String, FetchError>,
    notices: &mut Vec<Notice>,
) -> Result<Resolved, ConfigError> {
    let reference = parse(text)?;
    let (bucket, label) = match reference {
        Reference::Exact { version, bucket } => return Ok(Resolved { version, ci: bucket.is_ci() }),
        Reference::Label { bucket, label } => (bucket, label),
    };
    let own = skew::cleaned(client);
    let Some(remote) = look_up(bucket, &label, &own, fetch, notices)? else {
        return Ok(Resolved { version: own, ci: false });
    };
    // A label that names its minor says what it wants; only open-ended ones can run ahead of this kubeadm.
    if !skew::remote_is_much_newer(&remote, &own) {
        return Ok(Resolved { version: remote, ci: bucket.is_ci() });
    }
    let label = skew::stable_label(&own);
    notices
        .push(Notice::info(0, format!("remote version is much newer: {remote}; falling back to: {label}")));
    let found = look_up(Bucket::Release, &label, &own, fetch, notices)?;
    Ok(Resolved { version: found.unwrap_or(own), ci: false })
}

/// Says what a text means, with the labels that exist today.
pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
    match Reference::parse(text)? {
        Reference::Label { label, .. } if !is_label(&label) => {
            Err(ReferenceError::NeitherVersionNorLabel(text.to_owned()))
        }
        reference => Ok(reference),
    }
}

/// `stable` or `latest`, perhaps with a major, perhaps with a minor from 1 to 99.
fn is_label(label: &str) -> bool {
    let (name, qualifier) = label.split_once('-').unwrap_or((label, "1"));
    let (major, minor) = qualifier.split_once('.').unwrap_or((qualifier, "1"));
    let number = |text: &str, longest: usize| {
        text.len() <= longest
            && text.bytes().all(|b| b.is_ascii_digit())
            && !text.is_empty()
            && !text.starts_with('0')
    };
    matches!(name, "stable" | "latest") && number(major, 1) && number(minor, 2)
}

/// The version that a label stands for; none if nobody could be asked.
fn look_up(
    bucket: Bucket,
    label: &str,
    own: &Version,
    fetch: &mut dyn FnMut(&str) -> Result<String, FetchError>,
    notices: &mut Vec<Notice>,
) -> Result<Option<Version>, ConfigError> {
    let url = format!("{}/{label}.txt", bucket.url());
    match fetch(&url) {
        Ok(body) => {
            let body = body.trim();
            let version = body.parse().map_err(|_| ReferenceError::Invalid(body.to_owned()))?;
            Ok(Some(version))
        }
        Err(FetchError::Status(status)) => {
            Err(ConfigError::Lookup(format!("URL: {url:?}, status: {status}")))
        }
        Err(FetchError::Unreachable(why)) => {
            notices.push(Notice::warning(format!(
                "could not fetch a Kubernetes version from the internet: unable to get URL {url:?}: {why}"
            )));
            notices.push(Notice::warning(format!("falling back to the local client version: {own}")));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_with(text: &str, answers: &[(&str, &str)]) -> (Result<String, String>, usize) {
        let mut notices = Vec::new();
        let mut fetch = |url: &str| {
            let answer = answers.iter().find(|(known, _)| url.ends_with(known));
            match answer {
                Some((_, "404")) => Err(FetchError::Status("404 Not Found".into())),
                Some((_, body)) => Ok((*body).to_owned()),
                None => Err(FetchError::Unreachable("no such host".into())),
            }
        };
        let client = "v1.37.2".parse().unwrap();
        let resolved = resolve(text, &client, &mut fetch, &mut notices);
        (resolved.map(|r| r.version.to_string()).map_err(|e| e.to_string()), notices.len())
    }

    #[test]
    fn exact_versions_need_no_answer() {
        assert_eq!(resolve_with("1.13.12", &[]), (Ok("v1.13.12".into()), 0));
        let ci = resolve(
            "ci/v1.37.0-alpha.1+a",
            &"v1.37.2".parse().unwrap(),
            &mut |_| unreachable!(),
            &mut vec![],
        );
        assert!(ci.unwrap().ci);
    }

    #[test]
    fn labels_are_looked_up() {
        assert_eq!(
            resolve_with("stable-1", &[("/release/stable-1.txt", "v1.37.5\n")]),
            (Ok("v1.37.5".into()), 0)
        );
        assert_eq!(resolve_with("stable-1", &[]), (Ok("v1.37.2".into()), 2));
        let newer = [("/stable-1.txt", "v1.39.0"), ("/stable-1.37.txt", "v1.37.9")];
        assert_eq!(resolve_with("stable-1", &newer), (Ok("v1.37.9".into()), 1));
        assert_eq!(resolve_with("stable", &newer[..0]).0, Ok("v1.37.2".into()));
    }

    #[test]
    fn bad_answers_and_bad_texts_are_refused() {
        assert_eq!(
            resolve_with("latest", &[("/latest.txt", "404")]).0.unwrap_err(),
            "unable to fetch file. URL: \"https://dl.k8s.io/release/latest.txt\", status: 404 Not Found"
        );
        assert!(resolve_with("latest", &[("/latest.txt", "<html>")]).0.is_err());
        for text in ["banana", "stable-0", "stable-1.100", "stable-1.0", "v1.x", "stablestable"] {
            assert_eq!(
                resolve_with(text, &[]).0.unwrap_err(),
                format!(
                    "version {text:?} doesn't match patterns for neither semantic version nor labels (stable, latest, ...)"
                )
            );
        }
    }
}
