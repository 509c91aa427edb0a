//! Whether a port can be listened on, and who has it if not (`man 5 proc`).

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use kubeadm_engine::ports::ListenError;

use crate::files::words;

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Listens on an address for a moment.
pub(crate) fn can_listen(address: SocketAddr) -> Result<(), ListenError> {
    TcpListener::bind(address).map(drop).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => ListenError::InUse { owner: owner(address, Path::new("/proc")) },
        ErrorKind::AddrNotAvailable => ListenError::NoSuchAddress,
        ErrorKind::PermissionDenied => ListenError::Denied,
        _ => ListenError::Other(words(&e)),
    })
}

/// The process that listens on the port, as `name (process id)`.
fn owner(address: SocketAddr, proc: &Path) -> Option<String> {
    let inode = ["net/tcp", "net/tcp6"].into_iter().find_map(|table| {
        let table = std::fs::read_to_string(proc.join(table)).ok()?;
        table.lines().skip(1).find_map(|row| listening_inode(row, address))
    })?;
    let link = format!("socket:[{inode}]");
    for process in std::fs::read_dir(proc).ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else { continue };
        if open
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
        {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (process {pid})", name.trim_end()));
        }
    }
    None
}

/// The inode of the socket of a row, if it listens where `wanted` would.
fn listening_inode(row: &str, wanted: SocketAddr) -> Option<u64> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (ip, port) = local.split_once(':')?;
    let (ip, port) = (hex_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    let clash = ip.is_unspecified() || wanted.ip().is_unspecified() || ip == wanted.ip().to_canonical();
    (*state == LISTEN && port == wanted.port() && clash).then(|| inode.parse().ok())?
}

/// An address as the kernel prints it: words of 32 bits in the machine's byte order.
fn hex_ip(text: &str) -> Option<IpAddr> {
    let words = (0..text.len() / 8)
        .map(|i| Some(u32::from_str_radix(text.get(i * 8..i * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<Vec<_>>>()?;
    match words.as_slice() {
        [v4] => Some(Ipv4Addr::from(*v4).into()),
        [_, _, _, _] => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_owner_of_a_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap();
        let wanted = SocketAddr::from(([0, 0, 0, 0], taken.port()));
        let Err(ListenError::InUse { owner: Some(owner) }) = can_listen(wanted) else {
            panic!("expected an owner");
        };
        assert!(owner.ends_with(&format!("(process {})", std::process::id())), "{owner}");
        drop(listener);
        assert_eq!(can_listen(taken), Ok(()));
    }

    #[test]
    fn foreign_addresses_are_told_apart() {
        // Reserved for documentation: nobody has it.
        assert_eq!(can_listen("192.0.2.1:6443".parse().unwrap()), Err(ListenError::NoSuchAddress));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_the_kernel() {
        let row = "   2: 0100007F:2814 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        let at = |address: &str| listening_inode(row, address.parse().unwrap());
        assert_eq!(at("127.0.0.1:10260"), Some(4711));
        assert_eq!(at("0.0.0.0:10260"), Some(4711));
        assert_eq!(at("10.0.0.1:10260"), None);
        assert_eq!(at("127.0.0.1:10261"), None);
        assert_eq!(at("[::]:10260"), Some(4711));
        assert_eq!(hex_ip("0000000000000000FFFF00000100007F"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(hex_ip("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(hex_ip("0100"), None);
    }
}
