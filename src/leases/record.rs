//! The record of leases and spent sequences on disk.
//!
//! * It is replaced as a whole: a temporary file in the same folder, `fsync`, `rename`, `fsync` of the
//!   folder. Whatever happens in between, there is the old record or the new one.
//! * It says which commands root will run, so nobody else may have a hand in it: mode 0600, the
//!   temporary file is made anew and never opened through a link, and on reading a link, another owner or
//!   a file that others can write is as bad as damage.
//! * Two daemons with one record would each forget what the other has opened: whoever uses it holds a lock
//!   on the file of its name with `.lock` behind, for as long as it lives.
//! * A record that cannot be read is renamed, not overwritten: it may be the only thing that still knows
//!   what is open. If only the system has nothing left to read it with, it stays where it is.

use crate::leases::lease::Leases;
use crate::sys::fd::{Fd, FileKind, Path, c_path, rename, unlink};
use crate::sys::{Errno, Result, clock, process};
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

/// The largest record that is read, in bytes.
const FILE_LIMIT: usize = 64 << 20;

/// Where the record is and which boot it is written in.
pub struct Record {
    path: Path,
    lock: Option<Fd>,
    boot: String,
}

/// What was found on disk.
pub enum Found {
    /// A record, or none yet.
    Leases(Leases),
    /// Something that cannot be used, and why.
    Unusable(Vec<u8>),
}

impl Record {
    /// The record at `path`. `EINVAL` if the path has a NUL in it.
    pub fn new(path: &str) -> Result<Record> {
        Ok(Record {
            path: c_path(path.as_bytes())?,
            lock: None,
            boot: boot_id().unwrap_or_default(),
        })
    }

    /// The path with something behind it.
    fn path_with(&self, suffix: &str) -> Result<Path> {
        c_path(&text!("{}{}", self.path(), suffix))
    }

    /// Its path.
    pub fn path(&self) -> &[u8] {
        self.path.to_bytes()
    }

    /// Makes the record ours alone. `EAGAIN` if another process uses it.
    pub fn lock(&mut self) -> Result<()> {
        if self.lock.is_none() {
            let fd = Fd::open_lock(&self.path_with(".lock")?)?;
            fd.lock()?;
            self.lock = Some(fd);
        }
        Ok(())
    }

    /// Reads the record. An error is a shortage that has nothing to do with it.
    pub fn load(&self) -> Result<Found> {
        let document = match self.read() {
            Ok(document) => document,
            Err(Errno::ENOENT) => return Ok(Found::Leases(Leases::default())),
            Err(errno) if errno.is_shortage() => return Err(errno),
            Err(errno) => return Ok(Found::Unusable(text!("{}", errno))),
        };
        let Some(document) = document else {
            let reason = text!("not a file of sensible size that only we can write");
            return Ok(Found::Unusable(reason));
        };
        let leases = Leases::from_json(&document, &self.boot, clock::boot_time_ms());
        Ok(leases.map_or_else(Found::Unusable, Found::Leases))
    }

    fn read(&self) -> Result<Option<Vec<u8>>> {
        let fd = Fd::open_no_link(&self.path)?;
        let status = fd.status()?;
        if status.kind != FileKind::Regular || !status.is_private_to(process::user_id()) {
            return Ok(None);
        }
        fd.read_all(FILE_LIMIT)
    }

    /// Gives an unusable record another name, which is returned.
    pub fn set_aside(&self) -> Result<Vec<u8>> {
        // OK because a clock before 1970 only makes an odd name.
        let name = text!("{}.unusable-{}", self.path(), clock::unix_time_s() as u64);
        rename(&self.path, &c_path(&name)?)?;
        Ok(name)
    }

    /// Replaces the record. Fails with `EAGAIN` if another process uses it, with `EFBIG` if there is more
    /// to remember than would be read back.
    pub fn save(&mut self, leases: &Leases) -> Result<()> {
        self.lock()?;
        let mut document = Vec::new();
        leases.put_json(&self.boot, &mut document);
        if document.len() > FILE_LIMIT {
            return Err(Errno::EFBIG);
        }
        let temporary = self.path_with(".new")?;
        let replaced = self.replace(&temporary, &document);
        if replaced.is_err() {
            let _ = unlink(&temporary);
        }
        replaced
    }

    fn replace(&self, temporary: &CStr, document: &[u8]) -> Result<()> {
        // What a crash has left.
        match unlink(temporary) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        let fd = Fd::create_private(temporary)?;
        fd.write_all(document)?;
        fd.sync()?;
        rename(temporary, &self.path)?;
        let path = self.path();
        let folder = match path.iter().rposition(|&byte| byte == b'/') {
            Some(0) => b"/",
            Some(slash) => path.get(..slash).unwrap_or_default(),
            None => b".",
        };
        Fd::open(&c_path(folder)?)?.sync()
    }
}

/// The number that the kernel gives each boot; none if `/proc` does not tell, and then no record counts
/// as being of this boot.
fn boot_id() -> Option<String> {
    let fd = Fd::open(c"/proc/sys/kernel/random/boot_id").ok()?;
    let mut id = fd.read_all(4096).ok()??;
    // What is behind it is a newline.
    id.truncate(36);
    Some(id.into_iter().map(char::from).collect())
}
