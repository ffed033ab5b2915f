//! Every cap on what a guest can make the host hold or do within one call.
//!
//! Caps that the formats fix are constants beside the code that keeps them: path and component length and the number of
//! symbolic links in `vfs::path`, 1024 `iovec`s in `mem`. What bounds the guest itself (memory, stack, tables) belongs
//! to the engine.

/// Caps on a guest's use of the host. All are far above what programs need and far below what hurts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Open descriptors, standard streams included; more is `EMFILE`. Of the descriptors that the host's own limit
    /// allows, a guest can open no more than all but 64, or three quarters where they are few.
    pub fds: u32,
    /// Bytes that one call may copy. Reads and writes above it are short, which is legal; anything else traps.
    pub bytes_per_call: u64,
    /// Bytes of one `random_get`; more is `EINVAL`.
    pub random_bytes: u32,
    /// Subscriptions of one `poll_oneoff`; more is `EINVAL`.
    pub subscriptions: u32,
    /// Bytes of the snapshot that reading a directory takes; more is `ENOMEM`.
    pub readdir_bytes: usize,
    /// Bytes of arguments, and bytes of environment, NULs included. More is refused when the context is built.
    pub strings: usize,
    /// Bytes that an output captured by [`Capture::default`](crate::Capture::default) holds; more is `ENOSPC`.
    pub capture_bytes: usize,
    /// Bytes of the files in a memory file system made by the builder.
    pub memfs_bytes: u64,
}

impl Limits {
    /// The defaults, as a constant.
    pub const DEFAULT: Limits = Limits {
        fds: 1024,
        bytes_per_call: 128 << 20,
        random_bytes: 64 << 20,
        subscriptions: 4096,
        readdir_bytes: 64 << 20,
        strings: 16 << 20,
        capture_bytes: 16 << 20,
        memfs_bytes: 256 << 20,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}
