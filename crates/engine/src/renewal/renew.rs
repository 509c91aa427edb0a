//! Renewing: for each certificate a new key, and a certificate that says the same as the old one, from the authority
//! that is there. Nothing but the old certificate is read of a pair, so one that an interrupted renewal has left
//! mismatched is simply renewed again.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use kubeadm_pki::existing::Authority;
use kubeadm_pki::kubeconfig::{Kubeconfig, KubeconfigForm};
use kubeadm_pki::{Certificate, KeyAlgorithm, PrivateKey, Validity, renew, rfc3339};
use kubeadm_release::Release;

use super::{Kept, Managed, RenewalError, Settings};
use crate::phases::certs::YEAR;
use crate::plan::{Action, Step};
use crate::ports::{FileError, FileKind, Files, NewFile, View};
use crate::spec::Layout;

/// What was found of certificates that are to be renewed. No key is made yet.
pub struct Renewal<'a> {
    settings: &'a Settings,
    found: Vec<(&'static Managed, Result<Found, RenewalError>)>,
}

enum Found {
    Missing,
    /// The key of its authority is elsewhere.
    External,
    Renewable(Box<Renewable>),
}

struct Renewable {
    kept: Kept,
    authority: Authority,
    algorithm: KeyAlgorithm,
    validity: Validity,
}

/// A certificate that cannot be renewed.
#[derive(Debug, thiserror::Error)]
#[error("failed to renew certificate {name}: {source}")]
pub struct Failure {
    /// Its name.
    pub name: &'static str,
    /// Why.
    pub source: RenewalError,
}

/// The plan of a renewal. What cannot be renewed keeps nothing else from it: on a node where all has expired, each
/// certificate counts.
#[derive(Debug, Default)]
pub struct Planned {
    /// By the name of each certificate: what is to be done and said.
    pub steps: Vec<(&'static str, Vec<Step>)>,
    /// The certificates that are new afterwards.
    pub renewed: Vec<&'static Managed>,
    /// Those that cannot be renewed.
    pub failed: Vec<Failure>,
}

impl<'a> Renewal<'a> {
    /// Looks at certificates and their authorities.
    pub fn look(items: &[&'static Managed], settings: &'a Settings, view: View<'_>) -> Self {
        let found = items.iter().map(|item| (*item, look(item, settings, view))).collect();
        Self { settings, found }
    }

    /// The algorithm of each key that the plan needs.
    pub fn algorithms(&self) -> Vec<KeyAlgorithm> {
        let algorithm = |found: &Result<Found, RenewalError>| match found {
            Ok(Found::Renewable(renewable)) => Some(renewable.algorithm),
            _ => None,
        };
        self.found.iter().filter_map(|(_, found)| algorithm(found)).collect()
    }

    /// Plans it, with new keys.
    pub fn plan(self, view: View<'_>) -> Planned {
        let mut planned = Planned::default();
        for (item, found) in self.found {
            let long_name = item.long_name;
            let steps = found.and_then(|found| match found {
                Found::Missing => Ok(vec![Step::say(format!("MISSING! {long_name}"))]),
                Found::External => {
                    let ca = item.authority().base;
                    let text = format!("Detected external {ca}, {long_name} can't be renewed");
                    Ok(vec![Step::say(text)])
                }
                Found::Renewable(renewable) => {
                    let steps = renewable.plan(item, &self.settings.layout, view)?;
                    planned.renewed.push(item);
                    Ok(steps)
                }
            });
            match steps {
                Ok(steps) => planned.steps.push((item.name, steps)),
                Err(source) => planned.failed.push(Failure { name: item.name, source }),
            }
        }
        planned
    }
}

fn look(item: &'static Managed, settings: &Settings, view: View<'_>) -> Result<Found, RenewalError> {
    let layout = &settings.layout;
    let Some(kept) = Kept::read(item, layout, view.files)? else { return Ok(Found::Missing) };
    let spec = item.authority();
    let path = layout.pki_file(&format!("{}.crt", spec.base));
    let Some(authority) = super::authority(spec, layout, view)? else {
        return Err(RenewalError::NoAuthority { path });
    };
    if authority.key.is_none() {
        return Ok(Found::External);
    }
    let until = authority.certificate.not_after();
    if until <= view.clock.started() {
        return Err(RenewalError::AuthorityExpired { path, until });
    }
    let algorithm = settings.algorithm.unwrap_or_else(|| kept.certificate.public_key().kind().algorithm());
    let validity = validity(&kept.certificate, &authority.certificate, settings, view);
    Ok(Found::Renewable(Box::new(Renewable { kept, authority, algorithm, validity })))
}

/// The dates of the new certificate: for the period of the configuration, or as long as the old one was valid.
fn validity(old: &Certificate, ca: &Certificate, settings: &Settings, view: View<'_>) -> Validity {
    let started = view.clock.started();
    let not_before = later(started, -back_dated());
    let not_after = match settings.period_seconds {
        Some(period) => later(started, period),
        None => later(not_before, length(old, ca, settings, view)),
    };
    Validity { not_before, not_after: not_after.min(ca.not_after()) }
}

/// For how long a certificate was made valid.
///
/// One that begins with its authority does not tell: before 1.36 kubeadm dated all of them so, and the original dates
/// kubeconfig files so to this day, whenever they are made. It was made for at most the time it spans, and for as long as
/// other certificates of the node that do tell, or else for a year, which is all that releases of such dates could be
/// asked for.
fn length(old: &Certificate, ca: &Certificate, settings: &Settings, view: View<'_>) -> i64 {
    let span = span(old);
    if tells(old, ca) || span <= 0 {
        return if span > 0 { span } else { YEAR + back_dated() };
    }
    let told = settings.certificates(view.files).into_iter().filter_map(|item| {
        let ca = super::authority(item.authority(), &settings.layout, view).ok()??;
        let kept = Kept::read(item, &settings.layout, view.files).ok()??;
        tells(&kept.certificate, &ca.certificate).then(|| self::span(&kept.certificate))
    });
    span.min(told.max().unwrap_or(YEAR + back_dated()))
}

/// How long before its making a certificate begins: new ones are dated as the newest release does.
fn back_dated() -> i64 {
    Release::newest().certificates.back_dated_seconds.unwrap_or(0)
}

fn tells(certificate: &Certificate, ca: &Certificate) -> bool {
    certificate.not_before() != ca.not_before()
}

fn span(certificate: &Certificate) -> i64 {
    certificate.not_after().duration_since(certificate.not_before()).as_secs()
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}

impl Renewable {
    fn plan(
        self,
        item: &'static Managed,
        layout: &Layout,
        view: View<'_>,
    ) -> Result<Vec<Step>, RenewalError> {
        let Self { kept, authority, algorithm, validity } = self;
        // `look` has seen that it is there.
        let Some(ca_key) = authority.key.as_ref() else { return Ok(Vec::new()) };
        let ca = &authority.certificate;
        let key = view.keys.generate(algorithm)?;
        let certificate = renew(&kept.certificate, &key.public_key()?, ca, ca_key, validity)?;
        let mut text = certificate.to_pem();
        // What leads from the old certificate to its authority leads from the new one to the same.
        if kept.certificate.check_signature(ca).is_ok() {
            text.extend(kept.chain.iter().map(Certificate::to_pem));
        }
        let mut steps = Vec::new();
        if validity.not_after == ca.not_after() {
            steps.push(Step::warn(format!(
                "the {} is valid until {} only: then its authority {} ends, which has to be replaced before",
                item.long_name,
                rfc3339(validity.not_after),
                item.authority().name
            )));
        }
        let action = match kept.kubeconfig {
            None => pair(item, layout, view.files, &key, text)?,
            Some(config) => {
                Action::WriteFile(file(item, layout, view.files, config, &key, &text, &authority)?)
            }
        };
        steps.push(Step::new(action).done(format!("{} renewed", item.long_name)));
        Ok(steps)
    }
}

fn pair(
    item: &Managed,
    layout: &Layout,
    files: &dyn Files,
    key: &PrivateKey,
    certificate: String,
) -> Result<Action, RenewalError> {
    let (key_path, path) = (item.key_path(layout), item.path(layout));
    let pem = key.to_pem()?;
    Ok(Action::WritePair {
        key: NewFile {
            mode: mode(files, &key_path, 0o600)?,
            path: key_path,
            content: pem.as_bytes().to_vec(),
            secret: true,
        },
        certificate: NewFile {
            mode: mode(files, &path, 0o644)?,
            path,
            content: certificate.into_bytes(),
            secret: false,
        },
    })
}

/// The kubeconfig with another certificate and key, and with all authorities of the bundle that its own is in.
/// Upstream embeds the first only, so that a replacement of the authority is undone (quirk Q36).
fn file(
    item: &Managed,
    layout: &Layout,
    files: &dyn Files,
    mut config: Kubeconfig,
    key: &PrivateKey,
    certificate: &str,
    authority: &Authority,
) -> Result<NewFile, RenewalError> {
    let path = item.path(layout);
    let bundle = std::iter::once(&authority.certificate).chain(&authority.chain);
    let bundle: String = bundle.map(Certificate::to_pem).collect();
    config.renew(certificate, key, &bundle)?;
    // Written as it was, whatever its release did.
    let empty_preferences = config.other.contains_key("preferences");
    let form = KubeconfigForm { empty_preferences, null_lists: true };
    let content = config.to_yaml(form).as_bytes().to_vec();
    Ok(NewFile { mode: mode(files, &path, 0o600)?, path, content, secret: true })
}

/// The mode of the file that is replaced; its owner may have given it another than kubeadm does.
fn mode(files: &dyn Files, path: &Path, usual: u32) -> Result<u32, FileError> {
    Ok(files.stat(path)?.filter(|meta| meta.kind == FileKind::File).map_or(usual, |meta| meta.mode))
}
