//! Sets of bits and numbered choices, each a module of constants with the names of all.

/// Defines a module of bit constants with the table of their names.
macro_rules! flags {
    ($(#[$doc:meta])* $module:ident { $($name:ident = $bit:literal,)* }) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        pub mod $module {
            $(pub const $name: u64 = 1 << $bit;)*
            /// Every bit with its name, in the order of the bits.
            pub const NAMES: &[(u64, &str)] = &[$(($name, stringify!($name))),*];
            /// The union of all bits.
            pub const ALL: u64 = $($name)|*;
        }
    };
}

/// Defines a module of numbered constants with the list of their names.
macro_rules! numbers {
    ($(#[$doc:meta])* $module:ident { $($name:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        pub mod $module {
            $(pub const $name: u8 = $number;)*
            /// The names, each at the index that is its number.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
}

flags! {
    /// Rights of a descriptor. Reported in full, honoured where `docs` say so: see `fdtable`.
    rights {
        FD_DATASYNC = 0, FD_READ = 1, FD_SEEK = 2, FD_FDSTAT_SET_FLAGS = 3, FD_SYNC = 4, FD_TELL = 5, FD_WRITE = 6,
        FD_ADVISE = 7, FD_ALLOCATE = 8, PATH_CREATE_DIRECTORY = 9, PATH_CREATE_FILE = 10, PATH_LINK_SOURCE = 11,
        PATH_LINK_TARGET = 12, PATH_OPEN = 13, FD_READDIR = 14, PATH_READLINK = 15, PATH_RENAME_SOURCE = 16,
        PATH_RENAME_TARGET = 17, PATH_FILESTAT_GET = 18, PATH_FILESTAT_SET_SIZE = 19, PATH_FILESTAT_SET_TIMES = 20,
        FD_FILESTAT_GET = 21, FD_FILESTAT_SET_SIZE = 22, FD_FILESTAT_SET_TIMES = 23, PATH_SYMLINK = 24,
        PATH_REMOVE_DIRECTORY = 25, PATH_UNLINK_FILE = 26, POLL_FD_READWRITE = 27, SOCK_SHUTDOWN = 28,
        SOCK_ACCEPT = 29,
    }
}
flags! {
    /// How a descriptor behaves.
    fdflags { APPEND = 0, DSYNC = 1, NONBLOCK = 2, RSYNC = 3, SYNC = 4, }
}
flags! {
    /// How `path_open` opens.
    oflags { CREAT = 0, DIRECTORY = 1, EXCL = 2, TRUNC = 3, }
}
flags! {
    /// How a path is resolved.
    lookupflags { SYMLINK_FOLLOW = 0, }
}
flags! {
    /// Which times to set, and to what.
    fstflags { ATIM = 0, ATIM_NOW = 1, MTIM = 2, MTIM_NOW = 3, }
}
flags! {
    /// How a clock subscription reads its timeout.
    subclockflags { ABSTIME = 0, }
}
flags! {
    /// What an event on a descriptor saw beside readiness.
    eventrwflags { HANGUP = 0, }
}
flags! {
    /// How `sock_recv` receives.
    riflags { PEEK = 0, WAITALL = 1, }
}
flags! {
    /// What `sock_recv` reports.
    roflags { DATA_TRUNCATED = 0, }
}
flags! {
    /// Which directions `sock_shutdown` closes.
    sdflags { RD = 0, WR = 1, }
}
numbers! {
    /// Clocks.
    clockid { REALTIME = 0, MONOTONIC = 1, PROCESS_CPUTIME = 2, THREAD_CPUTIME = 3, }
}
numbers! {
    /// File types.
    filetype {
        UNKNOWN = 0, BLOCK_DEVICE = 1, CHARACTER_DEVICE = 2, DIRECTORY = 3, REGULAR_FILE = 4, SOCKET_DGRAM = 5,
        SOCKET_STREAM = 6, SYMBOLIC_LINK = 7,
    }
}
numbers! {
    /// What the offset of `fd_seek` counts from, with the numbers of preview 1. See `Preview::whence`.
    whence { SET = 0, CUR = 1, END = 2, }
}
numbers! {
    /// Hints of `fd_advise`.
    advice { NORMAL = 0, SEQUENTIAL = 1, RANDOM = 2, WILLNEED = 3, DONTNEED = 4, NOREUSE = 5, }
}
numbers! {
    /// Kinds of events and subscriptions.
    eventtype { CLOCK = 0, FD_READ = 1, FD_WRITE = 2, }
}
numbers! {
    /// Kinds of preopened descriptors.
    preopentype { DIR = 0, }
}
