//! The two DNS messages a resolver needs (RFC 1035): a question for addresses, and what an answer to it says. No I/O.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Flag "recursion desired".
const RECURSE: u16 = 0x0100;
const RESPONSE: u16 = 0x8000;
const TRUNCATED: u16 = 0x0200;
const INTERNET: u16 = 1;
const HEADER: usize = 12;

/// Types of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordType {
    /// IPv4 address.
    A = 1,
    /// IPv6 address.
    Aaaa = 28,
}

/// What came back over UDP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A complete answer.
    Whole(Answer),
    /// The answer did not fit; ask by TCP.
    Cut,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The addresses of the type asked for; none if the name has other records only.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The server cannot tell.
    ServerFailure,
}

/// An id that others cannot foresee.
pub(crate) fn random_id() -> u16 {
    // Keyed from the system's random source.
    RandomState::new().hash_one(0u8) as u16
}

/// The message that asks for the addresses of an absolute name; `None` if it is no name.
pub(crate) fn question(id: u16, name: &str, record: RecordType) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    for half in [id, RECURSE, 1, 0, 0, 0] {
        message.extend(half.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    if message.len() - HEADER > 255 {
        return None;
    }
    message.extend((record as u16).to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    Some(message)
}

/// Reads an answer; `None` if it is not one to this question.
pub(crate) fn answer(question: &[u8], message: &[u8]) -> Option<Reply> {
    let flags = half(message, 2)?;
    let asked = message.get(HEADER..question.len())?.eq_ignore_ascii_case(question.get(HEADER..)?);
    if half(message, 0)? != half(question, 0)? || flags & RESPONSE == 0 || !asked {
        return None;
    }
    if flags & TRUNCATED != 0 {
        return Some(Reply::Cut);
    }
    Some(Reply::Whole(match flags & 0xf {
        0 => Answer::Addresses(addresses(message, question.len())),
        3 => Answer::NoSuchName,
        _ => Answer::ServerFailure,
    }))
}

/// The addresses among the answers. A server that follows an alias sends the records of its target along.
fn addresses(message: &[u8], mut at: usize) -> Vec<IpAddr> {
    let wanted = half(message, at - 4);
    let mut found = Vec::new();
    for _ in 0..half(message, 6).unwrap_or_default() {
        let Some((kind, data, next)) = record(message, at) else { break };
        if Some(kind) == wanted {
            let v4 = <[u8; 4]>::try_from(data).map(|b| IpAddr::V4(Ipv4Addr::from(b)));
            let v6 = <[u8; 16]>::try_from(data).map(|b| IpAddr::V6(Ipv6Addr::from(b)));
            found.extend(v4.or(v6));
        }
        at = next;
    }
    found
}

/// The record at a position: type, data, and where the next one starts.
fn record(message: &[u8], at: usize) -> Option<(u16, &[u8], usize)> {
    let after_name = skip_name(message, at)?;
    let start = after_name + 10;
    let end = start + usize::from(half(message, after_name + 8)?);
    Some((half(message, after_name)?, message.get(start..end)?, end))
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            // A pointer to an earlier name ends this one.
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn half(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(question: &[u8], flags: u16, records: &[&[u8]]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[7] = records.len() as u8;
        message.extend(records.concat());
        message
    }

    #[test]
    fn follows_aliases_and_skips_other_types() {
        let question = question(7, "dl.k8s.io.", RecordType::A).unwrap();
        let alias = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 3][..], b"cdn", &[0xc0]].concat();
        let address = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 34, 107, 204, 206];
        let message = reply(&question, 0x8180, &[&alias[..16], &address]);
        assert_eq!(
            answer(&question, &message),
            Some(Reply::Whole(Answer::Addresses(vec!["34.107.204.206".parse().unwrap()])))
        );
    }

    #[test]
    fn tells_answers_apart() {
        let asked = question(7, "a.b", RecordType::Aaaa).unwrap();
        let whole = |flags| answer(&asked, &reply(&asked, flags, &[]));
        assert_eq!(whole(0x8183), Some(Reply::Whole(Answer::NoSuchName)));
        assert_eq!(whole(0x8182), Some(Reply::Whole(Answer::ServerFailure)));
        assert_eq!(whole(0x8380), Some(Reply::Cut));
        assert_eq!(whole(0x8180), Some(Reply::Whole(Answer::Addresses(Vec::new()))));
        assert_eq!(whole(0x0100), None, "not a response");
        let other = question(8, "a.b", RecordType::Aaaa).unwrap();
        assert_eq!(answer(&asked, &reply(&other, 0x8180, &[])), None, "another id");
        let other = question(7, "a.c", RecordType::Aaaa).unwrap();
        assert_eq!(answer(&asked, &reply(&other, 0x8180, &[])), None, "another name");
    }

    #[test]
    fn cut_messages_do_no_harm() {
        let asked = question(7, "a.b", RecordType::A).unwrap();
        let message = reply(&asked, 0x8180, &[&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1]]);
        for length in 0..message.len() {
            let _ = answer(&asked, &message[..length]);
        }
        assert_eq!(question(7, "a..b", RecordType::A), None);
        assert_eq!(question(7, &"x".repeat(64), RecordType::A), None);
        assert_eq!(question(7, "", RecordType::A), None);
    }
}
