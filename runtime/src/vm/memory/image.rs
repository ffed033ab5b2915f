//! What memories start with, as a file that many of them can map.

/// An anonymous file that holds initial contents of a memory.
#[derive(Debug)]
pub struct ImageFile {
    file: std::fs::File,
    len: usize,
}

impl ImageFile {
    /// A file with `contents`, whose length is a multiple of the page size. `None` where the system has no
    /// such files, or a limit of the process forbids them.
    pub fn new(contents: &[u8]) -> Option<ImageFile> {
        use std::io::Write;
        use std::os::fd::FromRawFd;
        // Beyond this limit a write is a deadly signal, and not only an error.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: getrlimit writes one rlimit.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
        if !known || contents.len() as u64 > limit.rlim_cur {
            return None;
        }
        // SAFETY: a valid name and flags; the descriptor is owned by nobody else.
        let mut file = unsafe {
            let fd = libc::memfd_create(c"wasm-image".as_ptr(), libc::MFD_CLOEXEC);
            if fd < 0 {
                return None;
            }
            std::fs::File::from_raw_fd(fd)
        };
        file.write_all(contents).ok()?;
        Some(ImageFile { file, len: contents.len() })
    }

    /// Number of bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(super) fn read(&self, to: &mut [u8]) -> Option<()> {
        use std::os::unix::fs::FileExt;
        self.file.read_exact_at(to, 0).ok()
    }

    /// Maps the file privately over the pages at `address`.
    ///
    /// # Safety
    /// The pages must belong to the caller, and nothing may borrow their bytes.
    pub(super) unsafe fn map_at(&self, address: *mut u8) -> Option<()> {
        use std::os::fd::AsRawFd;
        // SAFETY: the caller owns the pages that are replaced.
        let mapped = unsafe {
            libc::mmap(
                address.cast(),
                self.len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                self.file.as_raw_fd(),
                0,
            )
        };
        (mapped != libc::MAP_FAILED).then_some(())
    }
}
