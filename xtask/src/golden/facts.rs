//! Certificates, keys and kubeconfig files as facts, in the words of the recordings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::oid::AssociatedOid as _;
use der::{Decode as _, DecodePem as _};
use kubeadm_lab::{Error, Result};
use serde_json::{Map, Value, json};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};

/// Tells the facts of a certificate in PEM.
pub(crate) fn certificate(pem: &[u8]) -> Result<Value> {
    read(pem).map_err(|e| Error::Unfit(format!("a certificate that was made cannot be read: {e}")))
}

/// Tells the first line of a key in PEM, which names its form.
pub(crate) fn key(pem: &str) -> Value {
    json!({"pem": pem.lines().next().unwrap_or_default()})
}

fn read(pem: &[u8]) -> der::Result<Value> {
    let certificate = Certificate::from_pem(pem)?;
    let tbs = certificate.tbs_certificate();
    let seconds = |t: &x509_cert::time::Time| t.to_unix_duration().as_secs_f64();
    let days = (seconds(&tbs.validity().not_after) - seconds(&tbs.validity().not_before)) / 86_400.0;
    let signature = match certificate.signature_algorithm().oid.to_string().as_str() {
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => "sha256".to_owned(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => "sha384".to_owned(),
        other => other.to_owned(),
    };
    let mut facts = Map::new();
    facts.insert("subject".into(), tbs.subject().to_string().into());
    facts.insert("issuer".into(), tbs.issuer().to_string().into());
    facts.insert("validityDays".into(), ((days * 100.0).round() / 100.0).into());
    facts.insert("key".into(), key_kind(&certificate).into());
    facts.insert("signature".into(), signature.into());
    facts.insert("version".into(), format!("{:?}", tbs.version()).to_lowercase().into());
    for extension in tbs.extensions().into_iter().flatten() {
        let (oid, critical, value) = (extension.extn_id, extension.critical, extension.extn_value.as_bytes());
        if oid == SubjectAltName::OID {
            let names = SubjectAltName::from_der(value)?.0;
            facts.insert("san".into(), names.iter().map(alternative_name).collect());
        } else if oid == KeyUsage::OID {
            let is: Vec<&str> = KeyUsage::from_der(value)?.0.into_iter().map(usage).collect();
            facts.insert("keyUsage".into(), json!({"critical": critical, "is": is}));
        } else if oid == ExtendedKeyUsage::OID {
            let usages = ExtendedKeyUsage::from_der(value)?.0;
            let name = |oid: &der::oid::ObjectIdentifier| match oid.to_string().as_str() {
                "1.3.6.1.5.5.7.3.1" => "serverAuth".to_owned(),
                "1.3.6.1.5.5.7.3.2" => "clientAuth".to_owned(),
                other => other.to_owned(),
            };
            facts.insert("extKeyUsage".into(), usages.iter().map(name).collect());
        } else if oid == BasicConstraints::OID {
            let basic = BasicConstraints::from_der(value)?;
            let length = basic.path_len_constraint;
            facts.insert(
                "basicConstraints".into(),
                json!({"ca": basic.ca, "critical": critical, "pathLength": length}),
            );
        }
    }
    Ok(facts.into())
}

fn key_kind(certificate: &Certificate) -> String {
    let info = certificate.tbs_certificate().subject_public_key_info();
    let bits = info.subject_public_key.raw_bytes();
    match info.algorithm.oid.to_string().as_str() {
        // The modulus is the first integer of a SEQUENCE; its length in bytes follows from the key's, rounded down to
        // a multiple of 512 bits.
        "1.2.840.113549.1.1.1" => format!("RSA-{}", bits.len() * 8 / 512 * 512),
        "1.2.840.10045.2.1" if bits.len() == 65 => "ECDSA-secp256r1".into(),
        "1.2.840.10045.2.1" if bits.len() == 97 => "ECDSA-secp384r1".into(),
        other => other.into(),
    }
}

fn usage(usage: KeyUsages) -> &'static str {
    match usage {
        KeyUsages::DigitalSignature => "digital_signature",
        KeyUsages::KeyEncipherment => "key_encipherment",
        KeyUsages::KeyCertSign => "key_cert_sign",
        KeyUsages::CRLSign => "crl_sign",
        KeyUsages::DataEncipherment => "data_encipherment",
        KeyUsages::KeyAgreement => "key_agreement",
        KeyUsages::NonRepudiation => "content_commitment",
        _ => "other",
    }
}

fn alternative_name(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("DNSName:{name}"),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
            v4.or_else(|_| v6())
                .map_or_else(|_| format!("IPAddress:{octets:?}"), |ip| format!("IPAddress:{ip}"))
        }
        other => format!("{other:?}"),
    }
}

/// Tells the facts of a kubeconfig file.
pub(crate) fn kubeconfig(text: &str) -> Result<Value> {
    let tree = kubeadm_yaml::parse_value(text, "kubeconfig")
        .map_err(|e| Error::Unfit(format!("a kubeconfig that was made cannot be read: {e}")))?;
    let list = |field: &str| tree[field].as_array().cloned().unwrap_or_default();
    let mut clusters = Vec::new();
    for mut entry in list("clusters") {
        if let Some(data) = entry["cluster"].get_mut("certificate-authority-data") {
            *data = "<ca certificate>".into();
        }
        clusters.push(json!({"name": entry["name"], "cluster": entry["cluster"]}));
    }
    let mut users = Vec::new();
    for mut entry in list("users") {
        let mut facts = json!({});
        if let Some(data) = entry["user"].get_mut("client-certificate-data") {
            facts = certificate(&decode(data))?;
            *data = "<certificate>".into();
        }
        if let Some(data) = entry["user"].get_mut("client-key-data") {
            let pem = String::from_utf8_lossy(&decode(data)).into_owned();
            *data = pem.lines().next().unwrap_or_default().into();
        }
        users.push(json!({"name": entry["name"], "user": entry["user"], "certificate": facts}));
    }
    Ok(json!({
        "currentContext": tree["current-context"],
        "contexts": tree["contexts"],
        "clusters": clusters,
        "users": users,
    }))
}

fn decode(data: &Value) -> Vec<u8> {
    data.as_str().and_then(|d| STANDARD.decode(d).ok()).unwrap_or_default()
}
