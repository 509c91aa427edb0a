//! Network interfaces and their addresses, asked of the kernel by rtnetlink (`man 7 rtnetlink`).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kubeadm_engine::ports::Interface;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

// linux/rtnetlink.h, linux/netlink.h, linux/if.h, linux/if_link.h, linux/if_addr.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_POINTOPOINT: u32 = 0x10;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

const HEADER: usize = 16;
/// Length of `struct ifinfomsg`.
const LINK: usize = 16;
/// Length of `struct ifaddrmsg`.
const ADDRESS: usize = 8;

/// All interfaces in the order of their indices.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let mut interfaces = BTreeMap::new();
    dump(RTM_GETLINK, |kind, body| {
        if kind == RTM_NEWLINK {
            interfaces.extend(link(body));
        }
    })?;
    dump(RTM_GETADDR, |kind, body| {
        if kind == RTM_NEWADDR
            && let Some((index, ip)) = address(body)
            && let Some(interface) = interfaces.get_mut(&index)
        {
            interface.addresses.push(ip);
        }
    })?;
    Ok(interfaces.into_values().collect())
}

/// Asks the kernel for all objects of a kind and hands each message to `each`.
fn dump(request: u16, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    // No protocol means NETLINK_ROUTE.
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    let mut message = Vec::with_capacity(HEADER + LINK);
    message.extend(((HEADER + LINK) as u32).to_ne_bytes());
    message.extend(request.to_ne_bytes());
    message.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    // Sequence number, port, and a body of zeros: any family, any interface.
    message.resize(HEADER + LINK, 0);
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

    // The kernel fills at most 32 KiB at a time.
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (length, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((kind, body, next)) = message_of(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = word(body, 0).map_or(0, |w| w as i32);
                    return Err(io::Error::from_raw_os_error(-code));
                }
                kind => each(kind, body),
            }
            rest = next;
        }
    }
}

/// The first message: type, body, and what follows.
fn message_of(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = word(bytes, 0)? as usize;
    let body = bytes.get(HEADER..length)?;
    Some((half(bytes, 4)?, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// Attributes: type and value.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let attribute = (half(bytes, 2)?, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(attribute)
    })
}

fn link(body: &[u8]) -> Option<(u32, Interface)> {
    let (index, flags) = (word(body, 4)?, word(body, 8)?);
    let name = attributes(body.get(LINK..)?).find(|(kind, _)| *kind == IFLA_IFNAME)?.1;
    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let interface = Interface {
        name,
        up: flags & IFF_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        point_to_point: flags & IFF_POINTOPOINT != 0,
        addresses: Vec::new(),
    };
    Some((index, interface))
}

fn address(body: &[u8]) -> Option<(u32, IpAddr)> {
    let index = word(body, 4)?;
    let find = |wanted| attributes(body.get(ADDRESS..)?).find(|(kind, _)| *kind == wanted).map(|(_, v)| v);
    // On a point-to-point link IFA_ADDRESS is the other end.
    let value = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?;
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(value) {
        IpAddr::V4(Ipv4Addr::from(v4))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?))
    };
    Some((index, ip))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_there() {
        let all = interfaces().unwrap();
        let lo = all.iter().find(|i| i.name == "lo").unwrap();
        assert!(lo.loopback && !lo.point_to_point);
        if lo.up {
            assert!(lo.addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{lo:?}");
        }
        assert_eq!(all.len(), std::fs::read_dir("/sys/class/net").unwrap().filter(is_link).count());
    }

    /// `bonding_masters` stands beside the interfaces.
    fn is_link(entry: &io::Result<std::fs::DirEntry>) -> bool {
        entry.as_ref().unwrap().path().is_dir()
    }

    #[test]
    fn cut_messages_are_no_messages() {
        assert!(message_of(&[]).is_none());
        assert!(message_of(&[200, 0, 0, 0, 1, 0, 0, 0]).is_none());
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[8, 0, 2, 0, 10, 0, 0, 1, 9]).collect::<Vec<_>>(), [(2, &[10, 0, 0, 1][..])]);
    }
}
