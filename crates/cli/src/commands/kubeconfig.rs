//! `kubeadm kubeconfig user`: access for somebody else, on standard output. cmd/kubeadm/app/cmd/kubeconfig.go, 1.37.

use std::path::Path;

use kubeadm_config::address::{choose_advertise_address, join_host_port, parse_endpoint};
use kubeadm_config::defaults;
use kubeadm_config::duration::GoDuration;
use kubeadm_engine::ports::FileError;
use kubeadm_engine::spec::ADMIN_CONF;
use kubeadm_pki::inventory::{CertificateSpec, Dates, client_request};
use kubeadm_pki::kubeconfig::{Cluster, Kubeconfig, KubeconfigForm, User};
use kubeadm_pki::{Authority, Certificate, Files, issue, rfc3339};
use kubeadm_release::Release;

use crate::error::CommandError;
use crate::known::Known;
use crate::output;
use crate::parse::Call;
use crate::session::Session;
use crate::values::Values;

/// How long a user's certificate is valid unless a flag says otherwise; longer is warned of.
const YEAR: GoDuration = GoDuration::from_hours(365 * 24);

/// Prints the kubeconfig of a user.
pub(crate) fn user(call: &Call<'_>) -> Result<(), CommandError> {
    let flags = &call.flags;
    if !flags.given("client-name") {
        return Err(CommandError::new("required flag(s) \"client-name\" not set"));
    }
    let name = flags.text("client-name");
    if name.is_empty() {
        return Err(CommandError::new("--client-name must not be empty: it names the user"));
    }
    let period = flags.duration("validity-period");
    if period.seconds() <= 0 {
        return Err(CommandError::new(format!(
            "invalid argument \"{period}\" for \"--validity-period\" flag: it must be at least one second"
        )));
    }
    let session = Session::start()?;
    let known = match Known::of_file(&flags.text("config"), &session)? {
        Some(known) => known,
        None => of_cluster(&session),
    };
    let place = Place::of(&known, flags, &session)?;
    let token = flags.text("token");
    // Whoever has a token needs no signature: upstream wants ca.key all the same.
    let ca = authority(&known, token.is_empty(), &session)?;
    let who = match token.as_str() {
        "" => with_certificate(&name, &ca, &known, flags, &session)?,
        token => User::with_token(token),
    };
    let authorities: Vec<Certificate> = std::iter::once(ca.certificate).chain(ca.chain).collect();
    let cluster = Cluster::new(&place.server, &authorities);
    let config = Kubeconfig::new(&place.cluster, cluster, &name, who);
    let form = KubeconfigForm { empty_preferences: false, null_lists: true };
    output::line(&config.to_yaml(form));
    Ok(())
}

fn of_cluster(session: &Session) -> Known {
    match Known::of_cluster(Path::new(ADMIN_CONF), session, || ()) {
        Some(Ok(known)) => known,
        Some(Err(error)) => {
            tracing::info!("the configuration of the cluster is not known: {}", error.message());
            Known::nothing()
        }
        None => Known::nothing(),
    }
}

/// The cluster that the file leads to.
struct Place {
    server: String,
    cluster: String,
}

impl Place {
    /// By the configuration; else as the administrator reaches it; else, as upstream always does without a file, by this
    /// host's own address, which is only said to be a guess.
    fn of(known: &Known, flags: &Values, session: &Session) -> Result<Self, CommandError> {
        let cluster = &known.config.cluster;
        let named = |name: &str| if name.is_empty() { "kubernetes".to_owned() } else { name.to_owned() };
        let port = match known.config.init.local_api_endpoint.bind_port {
            0 => defaults::BIND_PORT.into(),
            port => port,
        };
        if !cluster.control_plane_endpoint.is_empty() {
            let (host, given) = parse_endpoint(&cluster.control_plane_endpoint)?;
            let port = if given.is_empty() { port.to_string() } else { given.to_owned() };
            let server = format!("https://{}", join_host_port(host, port));
            return Ok(Self { server, cluster: named(&cluster.cluster_name) });
        }
        let from_file = !flags.text("config").is_empty();
        if !from_file && let Some(admin) = administrators(session) {
            return Ok(admin);
        }
        let mut notices = Vec::new();
        let given = &known.config.init.local_api_endpoint.advertise_address;
        let mut host = session;
        let address = choose_advertise_address(given, &mut host, &mut notices);
        session.tell(&notices);
        let server = format!("https://{}", join_host_port(&address?.to_string(), port));
        if given.is_empty() {
            session.fx.output.warn(&format!(
                "no configuration names the API server: {server} is the address of this host; give --config, or correct `server` in the file"
            ));
        }
        Ok(Self { server, cluster: named(&cluster.cluster_name) })
    }
}

/// Server and name of the cluster in the administrator's own file, if it can be read.
fn administrators(session: &Session) -> Option<Place> {
    let text = String::from_utf8(session.fx.files.read(Path::new(ADMIN_CONF)).ok()??).ok()?;
    let config = Kubeconfig::parse(&text, ADMIN_CONF).ok()?;
    let (context, cluster) = (config.current()?, config.current_cluster()?);
    Some(Place { server: cluster.server.clone(), cluster: context.cluster.clone() })
}

/// The authority of the cluster; its key is looked for only where it is to sign.
fn authority(known: &Known, signs: bool, session: &Session) -> Result<Authority, CommandError> {
    let layout = known.layout();
    let Some(spec) = CertificateSpec::named("ca") else { unreachable!("the inventory has a ca") };
    let (certificate, key) = (layout.pki_file("ca.crt"), layout.pki_file("ca.key"));
    let read = |path: &Path| session.fx.files.read(path);
    let failed = |e: CommandError| e.prefix("couldn't create a kubeconfig; the CA files couldn't be loaded");
    let (crt_bytes, key_bytes) =
        read(&certificate).and_then(|crt| Ok((crt, if signs { read(&key)? } else { None }))).map_err(
            |e: FileError| failed(e.into()).hint("Run this command as root, on a control-plane node."),
        )?;
    let files = Files {
        base: spec.base,
        certificate_path: &certificate.display().to_string(),
        key_path: &key.display().to_string(),
        certificate: crt_bytes.as_deref(),
        key: key_bytes.as_deref(),
    };
    files.required_authority().map_err(|e| failed(e.into()))
}

fn with_certificate(
    name: &str,
    ca: &Authority,
    known: &Known,
    flags: &Values,
    session: &Session,
) -> Result<User, CommandError> {
    let period = flags.duration("validity-period");
    if period > YEAR {
        session.fx.output.warn(&format!(
            "WARNING: the specified certificate validity period {period} is longer than the default duration {YEAR}, this may increase security risks."
        ));
    }
    let ca_key = ca.key.as_ref().ok_or_else(|| {
        let path = known.layout().pki_file("ca.key");
        CommandError::new(format!(
            "couldn't create a kubeconfig; the CA files couldn't be loaded: the private key {} does not exist: run this on a control-plane node that has it, or give --token",
            path.display()
        ))
    })?;
    let started = session.fx.clock.started();
    let form = kubeadm_engine::phases::certs::form_of(&Release::newest());
    let dates = Dates { now: started, period_seconds: period.seconds(), ca: Some(&ca.certificate) };
    let mut request = client_request(name, &flags.list("org"), form, dates);
    let end = ca.certificate.not_after();
    if end <= started {
        return Err(CommandError::new(format!("the certificate authority has expired on {}", rfc3339(end))));
    }
    if request.validity.not_after > end {
        request.validity.not_after = end;
        session
            .fx
            .output
            .warn(&format!("the certificate is valid until {} only: then its authority ends", rfc3339(end)));
    }
    let key = session.fx.keys.generate(known.algorithm()?.unwrap_or_default())?;
    let certificate = issue(&request, &key.public_key()?, &ca.certificate, ca_key, form)?;
    Ok(User::with_certificate(&certificate, &key)?)
}
