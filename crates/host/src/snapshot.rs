//! A snapshot of etcd as a file: what came over the wire is checked before it gets its name.
//!
//! etcd sends its database, whole pages, and then their SHA-256 (server/etcdserver/api/v3rpc/maintenance.go). The file
//! keeps that digest at its end, where `etcdctl snapshot restore` looks for it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use kubeadm_engine::ports::WriteFiles;

use crate::files::{HostFiles, clear_leftovers, temporary_path, words};

/// Whose multiple the size of a database is: etcdctl holds a file against it, too.
const PAGE: u64 = 512;

/// A snapshot that is being received. Dropped before its end, it leaves nothing.
pub(crate) struct Snapshot {
    to: PathBuf,
    dir: PathBuf,
    temporary: PathBuf,
    file: File,
    size: u64,
    digest: Context,
    /// The last bytes that came, at most as many as a digest has.
    tail: Vec<u8>,
}

impl Snapshot {
    /// Begins a file for a database of about `expected` bytes.
    pub(crate) fn begin(to: &Path, expected: u64) -> Result<Self, String> {
        let (Some(dir), Some(name)) = (to.parent(), to.file_name()) else {
            return Err("not the path of a file".into());
        };
        HostFiles.create_dir(dir, 0o700).map_err(|e| e.to_string())?;
        clear_leftovers(dir, name);
        let free = rustix::fs::statvfs(dir).map_err(|e| words(&e.into()))?;
        let free = free.f_bavail.saturating_mul(free.f_frsize);
        if free < expected {
            return Err(format!(
                "the database has {expected} bytes, {} has {free} bytes free",
                dir.display()
            ));
        }
        let temporary = temporary_path(dir, name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|e| words(&e))?;
        let (to, dir) = (to.to_owned(), dir.to_owned());
        Ok(Self { to, dir, temporary, file, size: 0, digest: Context::new(&SHA256), tail: Vec::new() })
    }

    /// Takes the next bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(|e| words(&e))?;
        self.size += bytes.len() as u64;
        // The digest is known to be one only when nothing follows it.
        self.tail.extend_from_slice(bytes);
        let data = self.tail.len().saturating_sub(SHA256_OUTPUT_LEN);
        self.digest.update(&self.tail[..data]);
        self.tail.drain(..data);
        Ok(())
    }

    /// Checks what came, and gives the file its name. Returns its size.
    pub(crate) fn finish(self) -> Result<u64, String> {
        let data = self.size.saturating_sub(SHA256_OUTPUT_LEN as u64);
        if data == 0 || !data.is_multiple_of(PAGE) {
            return Err(format!("{} bytes came, which is not a whole database with its digest", self.size));
        }
        if self.digest.clone().finish().as_ref() != self.tail {
            return Err("what came does not have the digest that etcd sent with it".into());
        }
        let done = || -> io::Result<()> {
            self.file.sync_all()?;
            std::fs::rename(&self.temporary, &self.to)?;
            File::open(&self.dir)?.sync_all()
        };
        done().map_err(|e| words(&e))?;
        Ok(self.size)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // A file that got its name has no other left.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sent(pages: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..pages * 512).map(|i| (i % 251) as u8).collect();
        bytes.extend(aws_lc_rs::digest::digest(&SHA256, &bytes).as_ref());
        bytes
    }

    fn save(to: &Path, bytes: &[u8], piece: usize) -> Result<u64, String> {
        let mut snapshot = Snapshot::begin(to, bytes.len() as u64)?;
        for piece in bytes.chunks(piece) {
            snapshot.add(piece)?;
        }
        snapshot.finish()
    }

    #[test]
    fn pieces_of_any_size() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("backup/etcd.db");
        let bytes = sent(3);
        for piece in [1, 31, 32, 33, 512, 4096] {
            assert_eq!(save(&to, &bytes, piece), Ok(3 * 512 + 32));
            assert_eq!(std::fs::read(&to).unwrap(), bytes);
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&to), mode(to.parent().unwrap())), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_whole_gets_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("etcd.db");
        let bytes = sent(2);
        let mut wrong = bytes.clone();
        wrong[100] ^= 1;
        // Cut inside a page, cut before the digest, nothing but a digest, nothing at all.
        for cut in [&bytes[..700], &bytes[..1024], &bytes[1024..], &[]] {
            let error = save(&to, cut, 64).unwrap_err();
            assert!(error.contains("not a whole database"), "{error}");
        }
        assert!(save(&to, &wrong, 64).unwrap_err().contains("digest"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_full_disk_is_told_before() {
        let dir = tempfile::tempdir().unwrap();
        let error = Snapshot::begin(&dir.path().join("etcd.db"), u64::MAX).err().unwrap();
        assert!(error.contains("the database has 18446744073709551615 bytes"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
