//! The program that is packaged, and what it says of itself: its version, and the machine it is for.

use std::path::Path;

use kubeadm_lab::command::Run;
use kubeadm_lab::{Error, Result};

/// A kind of machine, by the names that packages have for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Its number in ELF.
    elf: u16,
    pub(crate) deb: &'static str,
    pub(crate) rpm: &'static str,
}

/// The machines for which Kubernetes has packages. Numbers: elf.h.
const MACHINES: &[Machine] = &[
    Machine { elf: 62, deb: "amd64", rpm: "x86_64" },
    Machine { elf: 183, deb: "arm64", rpm: "aarch64" },
    Machine { elf: 21, deb: "ppc64el", rpm: "ppc64le" },
    Machine { elf: 22, deb: "s390x", rpm: "s390x" },
];

/// A static program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) bytes: Vec<u8>,
    /// Its version as packages write it: `1.37.2`, `1.38.0~alpha.1`.
    pub(crate) version: String,
    pub(crate) machine: &'static Machine,
}

impl Program {
    /// Reads the program and asks it for its version.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let said = Run::new(path).args(["version", "-o", "short"]).read()?;
        Self::of(bytes, &said)
            .map_err(|e| Error::Unfit(format!("{} cannot be packaged: {e}", path.display())))
    }

    /// Makes a program of its bytes and of what it says its version is.
    pub(crate) fn of(bytes: Vec<u8>, said: &str) -> std::result::Result<Self, String> {
        let machine = machine(&bytes)?;
        Ok(Self { bytes, version: version(said)?, machine })
    }
}

/// A hyphen begins the package's own revision, and a pre-release comes before its release: both formats write a tilde.
fn version(said: &str) -> std::result::Result<String, String> {
    let number = said.trim().strip_prefix('v').filter(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    let number = number.ok_or_else(|| format!("its version {said:?} is none of Kubernetes"))?;
    Ok(number.replace('-', "~"))
}

/// The machine of a static ELF program of 64 bits.
fn machine(bytes: &[u8]) -> std::result::Result<&'static Machine, String> {
    let (Some(b"\x7fELF\x02"), Some(order)) = (bytes.get(..5), bytes.get(5)) else {
        return Err("no ELF program of 64 bits".into());
    };
    let number = |at: u64, length: usize| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if *order == 1 { digits.iter().rev().fold(0, add) } else { digits.iter().fold(0, add) })
    };
    let interpreted = || {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let kinds: Option<Vec<u64>> = (0..count).map(|i| number(table.checked_add(i * size)?, 4)).collect();
        // PT_INTERP
        Some(kinds?.contains(&3))
    };
    match interpreted() {
        Some(false) => {}
        Some(true) => return Err("not static: it needs the C library of the machine".into()),
        None => return Err("a broken ELF program: its headers lie outside the file".into()),
    }
    let elf = number(18, 2);
    let known = MACHINES.iter().find(|m| Some(u64::from(m.elf)) == elf);
    known.ok_or_else(|| format!("there are no packages for ELF's machine {}", elf.unwrap_or_default()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An ELF file with one program header of a kind.
    pub(crate) fn elf(machine: u16, kind: u8, big: bool) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, if big { 2 } else { 1 }]);
        let mut put = |at: usize, value: u64, length: usize| {
            let bytes = value.to_be_bytes();
            let mut bytes = bytes[8 - length..].to_vec();
            if !big {
                bytes.reverse();
            }
            file[at..at + length].copy_from_slice(&bytes);
        };
        put(18, machine.into(), 2);
        put(32, 64, 8);
        put(54, 56, 2);
        put(56, 1, 2);
        put(64, kind.into(), 4);
        file
    }

    #[test]
    fn machines_have_the_names_of_distributions() {
        assert_eq!(machine(&elf(62, 1, false)).unwrap().deb, "amd64");
        assert_eq!(machine(&elf(183, 1, false)).unwrap().rpm, "aarch64");
        assert_eq!(machine(&elf(22, 1, true)).unwrap().rpm, "s390x");
        assert!(machine(&elf(40, 1, false)).unwrap_err().contains("machine 40"));
    }

    #[test]
    fn what_is_not_static_is_refused() {
        assert!(machine(&elf(62, 3, false)).unwrap_err().contains("not static"));
        assert!(machine(b"#!/bin/sh\n").unwrap_err().contains("no ELF"));
        assert!(machine(&elf(62, 1, false)[..64]).unwrap_err().contains("broken"));
    }

    #[test]
    fn versions_sort_as_kubernetes_means_them() {
        assert_eq!(version("v1.37.2\n").unwrap(), "1.37.2");
        assert_eq!(version("v1.38.0-alpha.1\n").unwrap(), "1.38.0~alpha.1");
        assert!(version("what\n").is_err());
    }
}
