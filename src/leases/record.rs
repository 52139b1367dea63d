//! The record of leases and spent sequences on disk.
//!
//! * Lines are added at its end. It is replaced as a whole by a temporary file in the same folder, `fsync`, `rename`,
//!   `fsync` of the folder. Whatever happens in between, there is the old record or the new one, and at no instant none.
//!   What fails after the line stands there, or after the rename, has not failed.
//! * It says which commands root will run, so nobody else may have a hand in it: mode 0600, the
//!   temporary file is made anew and never opened through a link, and a file that others can write is as bad as
//!   damage.
//! * Two daemons with one record would each forget what the other has opened: whoever uses it holds a lock
//!   on the file of its name with `.lock` behind, for as long as it lives, and locks before reading. If somebody takes
//!   that file away, it is made and locked again before anything more is written.
//! * A damaged record gets a second name before it is replaced: it may be the only thing that still knows
//!   what is open. If only the system has nothing left to read it with, it stays where it is.
//! * What is no record of ours is left as it is: a folder, a link, somebody else's file, a text that looks nothing like one.

use crate::commands::job::Job;
use crate::config::trust::{self, Goal};
use crate::leases::journal::{self, Now};
use crate::leases::lease::Leases;
use crate::sys::fd::{Fd, FileKind, Path, c_path, link, rename, status, unlink};
use crate::sys::{Errno, Result, clock, process};
use crate::text::{folder, until, whole, words};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

/// The largest record that is read, in bytes.
pub const MAX_RECORD: usize = if cfg!(test) { 64 << 10 } else { 64 << 20 };

/// Behind the record's name: the file that is locked, and what somebody asks for.
const LOCK: &str = ".lock";
const REQUEST: &str = ".request";

/// Names that are tried for a record that is set aside.
const NAMES: u32 = 1000;

/// Where the record is and which boot it is written in.
pub struct Record {
    path: Path,
    lock: Option<Fd>,
    boot: Vec<u8>,
    seed: u64,
}

/// What is on disk.
pub enum Found {
    /// What may be a record.
    Record(Vec<u8>),
    /// There is none.
    Nothing,
    /// A record that cannot be used, and why.
    Unusable(Vec<u8>),
    /// Something that is none of ours, and why.
    Foreign(Vec<u8>),
}

/// What somebody asks for by hand: which leases are to be closed.
#[derive(PartialEq, Eq)]
pub struct Request {
    /// The key, or [`ALL`].
    pub key: Vec<u8>,
    /// The rule; empty for all of them.
    pub rule: Vec<u8>,
}

/// Stands for every key.
pub const ALL: &[u8] = b"*";

impl Request {
    /// Whether a lease of this rule and key is meant.
    pub fn means(&self, job: &Job) -> bool {
        (self.key == ALL || self.key == job.key) && (self.rule.is_empty() || self.rule == job.rule)
    }
}

impl Record {
    /// The record at `path`. `EINVAL` if the path has a NUL in it. The seed is a secret for hash tables.
    pub fn new(path: &str, seed: u64) -> Result<Record> {
        Ok(Record {
            path: c_path(path.as_bytes())?,
            lock: None,
            boot: boot_id().unwrap_or_default(),
            seed,
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

    /// Whether it is ours alone, and nobody has taken away what is locked.
    fn is_locked(&self) -> bool {
        let lock = self.lock.as_ref();
        lock.is_some_and(|lock| self.is_beside(LOCK, lock))
    }

    /// Makes the record ours alone. `EAGAIN` if another process uses it.
    pub fn lock(&mut self) -> Result<()> {
        if !self.is_locked() {
            let fd = Fd::open_lock(&self.path_with(LOCK)?)?;
            fd.lock()?;
            ours_alone(&fd)?;
            // For whoever wants to wake us. If it cannot be written, nobody can.
            let _ = fd.write_all(&text!("{}\n", process::own_id()));
            self.lock = Some(fd);
            // Whoever left it has been told that we ended.
            self.forget_request();
        }
        Ok(())
    }

    /// What is said when that fails, or when it cannot be told whether another process uses it.
    pub fn unlocked(&self, errno: Errno) -> Vec<u8> {
        let lock = text!("{}{}", self.path(), LOCK);
        text!("cannot lock {:?}: {}", lock, errno)
    }

    /// The process that has the record locked, if there is one: the number that it has where it runs, or zero.
    pub fn holder(&self) -> Result<Option<u32>> {
        let fd = match Fd::open_no_link(&self.path_with(LOCK)?) {
            Err(Errno::ENOENT) => return Ok(None),
            fd => fd?,
        };
        match fd.lock() {
            Err(Errno::EAGAIN) => {}
            locked => return locked.map(|()| None),
        }
        ours_alone(&fd)?;
        let written = fd.read_all(4096)?.unwrap_or_default();
        Ok(Some(whole(until(&written, b'\n')).unwrap_or(0)))
    }

    /// Leaves a request for the process that uses the record, locked while somebody waits for it: what others have left
    /// there that were killed is nobody's. `EAGAIN` if somebody waits for another one.
    pub fn ask(&self, request: &Request) -> Result<Fd> {
        let fd = Fd::open_lock(&self.path_with(REQUEST)?)?;
        fd.lock()?;
        if !self.is_asked(&fd) {
            // It was dealt with meanwhile.
            return Err(Errno::EAGAIN);
        }
        if let Err(errno) = fd.write_all(&text!("{}\0{}\0", request.key, request.rule)) {
            self.forget_request();
            return Err(errno);
        }
        Ok(fd)
    }

    /// Whether this request waits to be dealt with.
    pub fn is_asked(&self, request: &Fd) -> bool {
        self.is_beside(REQUEST, request)
    }

    /// Whether it is this file that has the record's name with something behind.
    fn is_beside(&self, suffix: &str, file: &Fd) -> bool {
        let found = self.path_with(suffix).and_then(|path| status(&path));
        matches!((found, file.status()), (Ok(found), Ok(file)) if found.id == file.id)
    }

    /// Takes the path of `other` if that, too, leads to the record that we have locked.
    pub fn take_name(&mut self, other: &mut Record) -> bool {
        let lock = self.lock.as_ref();
        let is_same = lock.is_some_and(|lock| other.is_beside(LOCK, lock));
        if is_same {
            core::mem::swap(&mut self.path, &mut other.path);
        }
        is_same
    }

    /// The request that waits for us.
    pub fn request(&self) -> Option<Request> {
        self.lock.as_ref()?;
        let fd = Fd::open_no_link(&self.path_with(REQUEST).ok()?).ok()?;
        ours_alone(&fd).ok()?;
        let written = fd.read_all(4096).ok()??;
        let mut parts = words(&written);
        let (key, rule) = (parts.next()?.to_vec(), parts.next()?.to_vec());
        Some(Request { key, rule })
    }

    /// Takes the request away.
    pub fn forget_request(&self) {
        if let Ok(path) = self.path_with(REQUEST) {
            let _ = unlink(&path);
        }
    }

    /// Lets others use it.
    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// Reads what is there. An error is a shortage that has nothing to do with it.
    pub fn load(&self) -> Result<Found> {
        let foreign = |what: &str| Ok(Found::Foreign(text!("{}", what)));
        // What it says runs as root.
        if process::user_id() == 0
            && let Ok(Some(place)) = trust::weak_place(self.path(), Goal::Files)
        {
            let what = "others can change";
            return Ok(Found::Foreign(text!(
                "{} {:?} on the way to it",
                what,
                place
            )));
        }
        let fd = match Fd::open_no_link(&self.path) {
            Ok(fd) => fd,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Found::Nothing),
            Err(errno) if errno.is_shortage() => return Err(errno),
            Err(Errno::ELOOP) => return foreign("it is a symbolic link"),
            Err(errno) => return Ok(Found::Foreign(text!("{}", errno))),
        };
        let status = fd.status()?;
        match status.kind {
            FileKind::Regular => {}
            FileKind::Directory => return foreign("it is a folder"),
            _ => return foreign("it is no file"),
        }
        if status.owner != process::user_id() {
            return foreign("it belongs to somebody else");
        }
        let document = match fd.read_all(MAX_RECORD) {
            Ok(Some(document)) => document,
            Ok(None) => return foreign("it is larger than any record"),
            Err(errno) if errno.is_shortage() => return Err(errno),
            Err(errno) => return Ok(Found::Unusable(text!("{}", errno))),
        };
        if !journal::may_be_ours(&document) {
            return foreign("it is some other file");
        }
        if !status.is_private_to(process::user_id()) {
            return Ok(Found::Unusable(text!("others than its owner can write it")));
        }
        Ok(Found::Record(document))
    }

    /// What is said of something foreign.
    pub fn refused(&self, reason: &[u8]) -> Vec<u8> {
        text!(
            "\"state\": {:?} is no record of ours ({}) and stays as it is: choose another path",
            self.path(),
            reason
        )
    }

    /// What a record says. The error says what is wrong with it.
    pub fn read(&self, document: &[u8]) -> core::result::Result<Box<Leases>, Vec<u8>> {
        let boot = match self.lock {
            // Somebody else uses it and has written it since he started: in a container he may see another boot id.
            None if matches!(self.holder(), Ok(Some(_))) => None,
            _ => Some(&self.boot[..]),
        };
        journal::read(document, boot, now(), self.seed)
    }

    /// The leases it tells of, for somebody who does not use it. The error says why they are not known.
    pub fn leases(&self) -> core::result::Result<Box<Leases>, Vec<u8>> {
        let read = match self.load() {
            Ok(Found::Record(document)) => self.read(&document),
            Ok(Found::Nothing) => Ok(Leases::new(self.seed)),
            Ok(Found::Unusable(reason) | Found::Foreign(reason)) => Err(reason),
            Err(errno) => Err(text!("{}", errno)),
        };
        read.map_err(|reason| text!("record {:?}: {}", self.path(), reason))
    }

    /// Gives an unusable record a second name, which is returned: the first one is to be taken by a new record.
    pub fn set_aside(&self) -> Result<Vec<u8>> {
        let mut number = 0;
        loop {
            // OK because a clock before 1970 only makes an odd name.
            let mut name = text!("{}.unusable-{}", self.path(), clock::unix_time_s() as u64);
            if number > 0 {
                put!(&mut name, "-{}", number);
            }
            match link(&self.path, &c_path(&name)?) {
                Err(Errno::EEXIST) if number < NAMES => number += 1,
                linked => return linked.map(|()| name),
            }
        }
    }

    /// Adds lines to the record, which is `length` bytes long; false if the file is not the one that was written last, or
    /// is not locked any more. An error means that they do not stand there.
    pub fn append(&self, length: usize, lines: &[u8]) -> Result<bool> {
        if !self.is_locked() {
            return Ok(false);
        }
        let fd = match Fd::open_to_append(&self.path) {
            Err(Errno::ENOENT | Errno::ELOOP | Errno::EISDIR) => return Ok(false),
            fd => fd?,
        };
        // OK because no record is that long.
        if fd.seek_to_end()? != length as u64 {
            return Ok(false);
        }
        fd.write_all(lines)?;
        Ok(true)
    }

    /// Waits until what stands there is on the disk.
    pub fn sync(&self) -> Result<()> {
        Fd::open_to_append(&self.path)?.sync()
    }

    /// The record of what is.
    pub fn whole(&self, leases: &Leases) -> Vec<u8> {
        journal::whole(leases, &self.boot, clock::boot_time_ms())
    }

    /// Replaces the record. Where somebody has taken away what was locked, it is locked again first.
    pub fn replace(&mut self, document: &[u8]) -> Result<()> {
        self.lock()?;
        let temporary = self.path_with(".new")?;
        let replaced = self.replace_by(&temporary, document);
        match replaced {
            Ok(Some(folder)) => {
                // The new record has the name. Some file systems sync no folders.
                let _ = folder.sync();
                Ok(())
            }
            // A folder that we may not read.
            Ok(None) => Ok(()),
            Err(errno) => {
                let _ = unlink(&temporary);
                Err(errno)
            }
        }
    }

    /// Up to the rename; returns the folder, if we may read it.
    fn replace_by(&self, temporary: &CStr, document: &[u8]) -> Result<Option<Fd>> {
        // What a crash has left.
        match unlink(temporary) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        let fd = Fd::create_private(temporary)?;
        fd.write_all(document)?;
        fd.sync()?;
        // While nothing has happened yet: a shortage now would be one for whatever comes next.
        let folder = match self.folder() {
            Err(errno) if errno.is_shortage() => return Err(errno),
            folder => folder.ok(),
        };
        rename(temporary, &self.path)?;
        Ok(folder)
    }

    fn folder(&self) -> Result<Fd> {
        Fd::open(&c_path(folder(self.path()))?)
    }
}

/// The time by both clocks.
pub fn now() -> Now {
    Now {
        ms: clock::boot_time_ms(),
        wall_s: u64::try_from(clock::unix_time_s()).unwrap_or(0),
    }
}

/// Whether it is a file that nobody but us can have written, and none that has another name, too: that is `EMLINK`.
fn ours_alone(fd: &Fd) -> Result<()> {
    let status = fd.status()?;
    match status.kind == FileKind::Regular && status.is_private_to(process::user_id()) {
        true if status.links > 1 => Err(Errno::EMLINK),
        true => Ok(()),
        false => Err(Errno::EACCES),
    }
}

/// The number that the kernel gives each boot; none if `/proc` does not tell, and then no record counts
/// as being of this boot.
fn boot_id() -> Option<Vec<u8>> {
    let fd = Fd::open(c"/proc/sys/kernel/random/boot_id").ok()?;
    let mut id = fd.read_all(4096).ok()??;
    // What is behind it is a newline.
    id.truncate(36);
    Some(id)
}
