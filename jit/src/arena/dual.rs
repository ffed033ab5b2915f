//! One piece of shared memory, seen twice: once to be executed and read, once to be written and read.
//!
//! No page is ever writable and executable through one address, and installing code changes no mapping, so that
//! code on the same page runs on undisturbed. The file behind it is gone once both views exist. The execute view
//! is executable from the first, not on demand: hardened systems (`PR_SET_MDWE`) refuse to add the right later.
//!
//! A forked child would share the pages with its parent, and its installs would overwrite the parent's code.
//! So the child does not inherit the views: code called there faults, and installing is an error.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process;
use std::ptr::{self, NonNull};

/// Both views.
pub(super) struct Dual {
    pub execute: View,
    pub write: View,
}

impl Dual {
    /// Reserves `len` bytes, whole pages, of which none is backed by memory yet.
    pub fn new(len: usize) -> io::Result<Dual> {
        let file = memory_file(len)?;
        Ok(Dual {
            execute: View::new(&file, len, libc::PROT_READ | libc::PROT_EXEC)?,
            write: View::new(&file, len, libc::PROT_READ | libc::PROT_WRITE)?,
        })
    }

    /// Backs pages with memory: an error here is a signal at the first store otherwise.
    pub fn populate(&mut self, start: usize, len: usize) -> io::Result<()> {
        debug_assert!(start + len <= self.write.len);
        loop {
            // SAFETY: pages of our own view; populating does not change what they hold.
            let status = unsafe {
                libc::madvise(self.write.base.as_ptr().add(start).cast(), len, libc::MADV_POPULATE_WRITE)
            };
            if status == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => {}
                // Before Linux 5.14.
                Some(libc::EINVAL) => return Ok(()),
                _ => return Err(error),
            }
        }
    }
}

/// A mapping that is removed when it is dropped.
pub(super) struct View {
    pub base: NonNull<u8>,
    len: usize,
    /// The process that has it.
    owner: u32,
}

impl View {
    fn new(file: &OwnedFd, len: usize, protection: c_int) -> io::Result<View> {
        // SAFETY: a new mapping at an address of the system's choice.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let view = View { base, len, owner: process::id() };
        // SAFETY: the mapping just made.
        check(unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_DONTFORK) })?;
        Ok(view)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // In a forked child the addresses may be someone else's by now.
        if self.owner == process::id() {
            // SAFETY: our own mapping; whoever drops the arena says that nothing points into it any more.
            let status = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
            debug_assert_eq!(status, 0, "unmapping a whole mapping does not fail");
        }
    }
}

/// A file of `len` bytes in memory, without a name.
fn memory_file(len: usize) -> io::Result<OwnedFd> {
    // Growing a file past this limit is an error and also a deadly signal.
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes one rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) })?;
    if len as u64 > limit.rlim_cur {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    // Sealed against being run as a program, which is another right than being mapped executable, and which
    // some systems insist on; Linux before 6.3 does not know the flag.
    let file = create(libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL).or_else(|_| create(libc::MFD_CLOEXEC))?;
    let size = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: a file of our own, nowhere mapped yet.
    check(unsafe { libc::ftruncate(file.as_raw_fd(), size) })?;
    Ok(file)
}

fn create(flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"wasmrun-code".as_ptr(), flags) };
    check(fd)?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(status: c_int) -> io::Result<()> {
    if status == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
