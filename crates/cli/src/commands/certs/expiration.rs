//! `kubeadm certs check-expiration`: what was found, as two tables or as one object.

use jiff::Timestamp;
use kubeadm_engine::renewal::{Expiration, State, Survey, survey};
use kubeadm_pki::rfc3339;
use serde::Serialize;

use super::{file_error, settings};
use crate::columns::aligned;
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::session::Session;
use crate::structured::{API_VERSION, Format};

/// `certs check-expiration`. What has expired is an answer, not a failure.
pub(crate) fn check_expiration(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let session = Session::start()?;
    // Standard output belongs to the object, where one was asked for.
    let tell = |line: &str| match format {
        Format::Text => output::line(line),
        Format::Json | Format::Yaml => output::note(&format!("{line}\n")),
    };
    let settings = settings(&call.flags, "check-expiration", &session, &tell)?;
    let found = survey(&settings, &*session.fx.files).map_err(|e| file_error(e, &session))?;
    for expiration in found.certificates.iter().chain(&found.authorities) {
        if let State::Unreadable(reason) = &expiration.state {
            session.fx.output.warn(&format!("the certificate {} can't be read: {reason}", expiration.name));
        }
    }
    let now = session.fx.clock.now();
    format.print(&[Info::new(&found, now)], |_| tables(&found, now))
}

#[derive(Serialize)]
struct Info {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    certificates: Vec<Certificate>,
    #[serde(rename = "certificateAuthorities")]
    authorities: Vec<Certificate>,
}

/// cmd/kubeadm/app/apis/output/v1alpha3/types.go, 1.37.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    name: &'static str,
    expiration_date: Option<String>,
    #[serde(rename = "residualTime")]
    residual_seconds: i64,
    externally_managed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_name: Option<&'static str>,
    missing: bool,
}

impl Info {
    fn new(found: &Survey, now: Timestamp) -> Self {
        let list = |all: &[Expiration]| all.iter().map(|e| Certificate::new(e, now)).collect();
        Self {
            kind: "CertificateExpirationInfo",
            api_version: API_VERSION,
            certificates: list(&found.certificates),
            authorities: list(&found.authorities),
        }
    }
}

impl Certificate {
    fn new(expiration: &Expiration, now: Timestamp) -> Self {
        let until = match expiration.state {
            State::Until(until) => Some(until),
            State::Missing | State::Unreadable(_) => None,
        };
        Self {
            name: expiration.name,
            expiration_date: until.map(rfc3339),
            residual_seconds: until.map_or(0, |date| date.duration_since(now).as_secs()),
            externally_managed: expiration.external,
            // Upstream leaves it out where there is no certificate.
            ca_name: expiration.authority.filter(|_| until.is_some()),
            missing: expiration.state == State::Missing,
        }
    }
}

fn tables(found: &Survey, now: Timestamp) -> String {
    let titles = |titles: &[&str]| titles.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let table = |head: &[&str], rows: &[Expiration]| {
        let rows = rows.iter().map(|expiration| row(expiration, now));
        let rows: Vec<Vec<String>> = std::iter::once(titles(head)).chain(rows).collect();
        // Go's tabwriter counts the blanks between columns in the ten of the least width.
        aligned(&rows, &vec![7; head.len() - 1])
    };
    let certificates = table(
        &["CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"],
        &found.certificates,
    );
    let authorities = table(
        &["CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"],
        &found.authorities,
    );
    format!("{certificates}\n{authorities}")
}

/// A row; of what is not there only its name, with the cells left blank.
fn row(expiration: &Expiration, now: Timestamp) -> Vec<String> {
    let columns = if expiration.authority.is_some() { 4 } else { 3 };
    let until = match expiration.state {
        State::Until(until) => until,
        State::Missing | State::Unreadable(_) => {
            let mark = if expiration.state == State::Missing { "!MISSING!" } else { "!INVALID!" };
            let mut cells = vec![String::new(); columns];
            cells[0] = format!("{mark} {}", expiration.name);
            return cells;
        }
    };
    let mut cells = vec![
        expiration.name.to_owned(),
        until.strftime("%b %d, %Y %H:%M UTC").to_string(),
        human(until.duration_since(now).as_secs()),
    ];
    cells.extend(expiration.authority.map(str::to_owned));
    cells.push(format!("{:<8}", if expiration.external { "yes" } else { "no" }));
    cells
}

/// A time in one unit or two, as people say it. apimachinery: `duration.HumanDuration`.
fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let (minutes, hours, days, years) = (seconds / MINUTE, seconds / HOUR, seconds / DAY, seconds / YEAR);
    let both = |large: i64, unit: &str, small: i64, rest: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{rest}"),
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if minutes < 10 => both(minutes, "m", seconds % 60, "s"),
        _ if hours < 3 => format!("{minutes}m"),
        _ if hours < 8 => both(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => both(days, "d", hours % 24, "h"),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => both(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Survey {
        let leaf = |name, state, external| Expiration { name, authority: Some("ca"), state, external };
        let until = |date: &str| State::Until(date.parse().unwrap());
        Survey {
            certificates: vec![
                leaf("admin.conf", until("2027-11-23T14:50:07Z"), false),
                leaf("apiserver", State::Unreadable("x".into()), false),
                leaf("apiserver-etcd-client", State::Missing, false),
                leaf("front-proxy-client", until("2026-11-23T14:50:06Z"), true),
            ],
            authorities: vec![
                Expiration { authority: None, ..leaf("ca", until("2036-11-20T14:50:07Z"), false) },
                Expiration { authority: None, ..leaf("etcd-ca", State::Missing, false) },
            ],
        }
    }

    #[test]
    fn two_tables_as_upstream_lays_them_out() {
        let now = "2026-11-23T14:55:07Z".parse().unwrap();
        let lines = [
            "CERTIFICATE                       EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED",
            "admin.conf                        Nov 23, 2027 14:50 UTC   364d            ca                      no      ",
            "!INVALID! apiserver                                                                                ",
            "!MISSING! apiserver-etcd-client                                                                    ",
            "front-proxy-client                Nov 23, 2026 14:50 UTC   <invalid>       ca                      yes     ",
            "",
            "CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED",
            "ca                      Nov 20, 2036 14:50 UTC   9y              no      ",
            "!MISSING! etcd-ca                                                ",
            "",
        ];
        assert_eq!(tables(&found(), now), lines.join("\n"));
    }

    #[test]
    fn the_object_has_upstreams_fields() {
        let now = "2026-11-23T14:50:07Z".parse().unwrap();
        let object = serde_json::to_value(Info::new(&found(), now)).unwrap();
        assert_eq!(object["kind"], "CertificateExpirationInfo");
        assert_eq!(
            object["certificates"][0],
            serde_json::json!({
                "name": "admin.conf", "expirationDate": "2027-11-23T14:50:07Z", "residualTime": 31_536_000,
                "externallyManaged": false, "caName": "ca", "missing": false,
            })
        );
        assert_eq!(object["certificates"][3]["residualTime"], -1);
        assert_eq!(
            object["certificateAuthorities"][1],
            serde_json::json!({
                "name": "etcd-ca", "expirationDate": null, "residualTime": 0, "externallyManaged": false,
                "missing": true,
            })
        );
    }

    #[test]
    fn times_as_people_say_them() {
        const DAY: i64 = 86_400;
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (8 * 3600, "8h"),
            (47 * 3600 + 3599, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3600, "2d1h"),
            (8 * DAY, "8d"),
            (730 * DAY - 1, "729d"),
            (730 * DAY, "2y"),
            (731 * DAY, "2y1d"),
            (8 * 365 * DAY - 1, "7y364d"),
            (3650 * DAY, "10y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
