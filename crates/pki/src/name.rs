//! Distinguished names. A name that was read keeps its encoding byte for byte, because two names are
//! the same only if they are encoded alike: a CA whose subject has two OU values, or an unusual string
//! type, would otherwise get leaves whose issuer is not its subject.

use std::collections::BTreeSet;
use std::fmt;

use der::asn1::{Any, BmpString, PrintableStringRef, SetOfVec};
use der::oid::ObjectIdentifier;
use der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::attr::AttributeTypeAndValue;

use crate::oid;

/// The name of a subject or issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    encoded: Any,
    /// Relative names in their order, each with its attributes.
    parts: Vec<Vec<(ObjectIdentifier, String)>>,
}

impl Name {
    /// A name of a common name and organizations, laid out as Go does: all organizations in one
    /// relative name, then the common name. Equal organizations are one.
    pub(crate) fn new(common_name: &str, organizations: &[String]) -> der::Result<Self> {
        let mut parts = Vec::new();
        let mut relative = Vec::new();
        let distinct: BTreeSet<&String> = organizations.iter().collect();
        let mut push = |oid: ObjectIdentifier, values: &[&str]| -> der::Result<()> {
            if values.is_empty() {
                return Ok(());
            }
            let mut set = SetOfVec::new();
            for value in values {
                set.insert(AttributeTypeAndValue { oid, value: directory_string(value)? })?;
            }
            relative.push(set);
            parts.push(values.iter().map(|v| (oid, (*v).to_owned())).collect());
            Ok(())
        };
        let organizations: Vec<&str> = distinct.iter().map(|o| o.as_str()).collect();
        push(oid::ORGANIZATION, &organizations)?;
        if !common_name.is_empty() {
            push(oid::COMMON_NAME, &[common_name])?;
        }
        Ok(Self { encoded: Any::encode_from(&relative)?, parts })
    }

    pub(crate) fn from_encoded(encoded: Any) -> der::Result<Self> {
        let mut parts = Vec::new();
        encoded.tag().assert_eq(Tag::Sequence)?;
        let mut names = SliceReader::new(encoded.value())?;
        while !names.is_finished() {
            let set = Any::decode(&mut names)?;
            set.tag().assert_eq(Tag::Set)?;
            let mut attributes = SliceReader::new(set.value())?;
            let mut part = Vec::new();
            while !attributes.is_finished() {
                let attribute = AttributeTypeAndValue::decode(&mut attributes)?;
                part.push((attribute.oid, text_of(&attribute.value)));
            }
            parts.push(part);
        }
        Ok(Self { encoded, parts })
    }

    pub(crate) fn encoded(&self) -> &Any {
        &self.encoded
    }

    fn values(&self, wanted: ObjectIdentifier) -> impl Iterator<Item = &str> {
        self.parts.iter().flatten().filter(move |(oid, _)| *oid == wanted).map(|(_, text)| text.as_str())
    }

    /// The common name; the last one counts, as in Go. Empty when there is none.
    pub fn common_name(&self) -> &str {
        self.values(oid::COMMON_NAME).last().unwrap_or_default()
    }

    /// All organizations, in the order of the encoding.
    pub fn organizations(&self) -> Vec<&str> {
        self.values(oid::ORGANIZATION).collect()
    }
}

impl fmt::Display for Name {
    /// The form of RFC 4514, last part first: `CN=kube-apiserver,O=system:masters`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().rev().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            for (j, (oid, value)) in part.iter().enumerate() {
                if j > 0 {
                    f.write_str("+")?;
                }
                match short_name(*oid) {
                    Some(name) => write!(f, "{name}=")?,
                    None => write!(f, "{oid}=")?,
                }
                for (k, c) in value.char_indices() {
                    let edge = k == 0 && matches!(c, ' ' | '#') || k + 1 == value.len() && c == ' ';
                    if edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
                        f.write_str("\\")?;
                    }
                    write!(f, "{c}")?;
                }
            }
        }
        Ok(())
    }
}

fn short_name(oid: ObjectIdentifier) -> Option<&'static str> {
    Some(match oid {
        oid::COMMON_NAME => "CN",
        oid::SERIAL_NUMBER => "SERIALNUMBER",
        oid::COUNTRY => "C",
        oid::LOCALITY => "L",
        oid::STATE => "ST",
        oid::STREET => "STREET",
        oid::ORGANIZATION => "O",
        oid::ORGANIZATIONAL_UNIT => "OU",
        oid::POSTAL_CODE => "POSTALCODE",
        _ => return None,
    })
}

/// A string in the type Go picks: PrintableString where its letters allow, else UTF8String.
fn directory_string(text: &str) -> der::Result<Any> {
    match PrintableStringRef::new(text) {
        Ok(printable) => Any::encode_from(&printable),
        Err(_) => Any::new(Tag::Utf8String, text.as_bytes()),
    }
}

fn text_of(value: &Any) -> String {
    match value.tag() {
        Tag::BmpString => value.decode_as::<BmpString>().map_or_else(|_| hex(value), |s| s.to_string()),
        // Printable, UTF-8, IA5 and, as commonly written, Teletex.
        Tag::PrintableString | Tag::Utf8String | Tag::Ia5String | Tag::TeletexString => {
            String::from_utf8_lossy(value.value()).into_owned()
        }
        _ => hex(value),
    }
}

fn hex(value: &Any) -> String {
    let bytes = value.to_der().unwrap_or_default();
    format!("#{}", crate::hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organizations_share_one_part_and_come_first() {
        let name = Name::new("kubernetes-admin", &["b".into(), "a".into(), "b".into()]).unwrap();
        assert_eq!(name.to_string(), "CN=kubernetes-admin,O=a+O=b");
        let read = Name::from_encoded(name.encoded().clone()).unwrap();
        assert_eq!(read, name);
        assert_eq!(read.organizations(), ["a", "b"]);
        assert_eq!(read.common_name(), "kubernetes-admin");
    }

    #[test]
    fn letters_beyond_printable_become_utf8() {
        for (text, tag) in [
            ("system:node:cp1", Tag::PrintableString),
            ("a_b", Tag::Utf8String),
            ("a*b", Tag::Utf8String),
            ("ü", Tag::Utf8String),
        ] {
            assert_eq!(directory_string(text).unwrap().tag(), tag, "{text}");
        }
    }

    #[test]
    fn special_letters_are_escaped() {
        let name = Name::new(" a,b ", &[]).unwrap();
        assert_eq!(name.to_string(), "CN=\\ a\\,b\\ ");
    }
}
