//! The binary interface of preview 1 and preview 0: layouts, flags, enumerations and the table of the 46 functions.
//!
//! Everything that needs to know what a call looks like reads these tables: registration in a linker, the preview 0
//! functions, the tracer, the capability report and the tests that aim a bad pointer at every parameter. The numbers are
//! those of the specification's `witx` files; offsets count from the start of a record, and all of guest memory is
//! little endian.
//!
//! Where the two previews differ, and these are all the places: the order of `whence`, the size of `filestat` (its
//! link count has 32 bits in preview 0) and the shape of a clock subscription.

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
    /// What the offset of `fd_seek` counts from, with the numbers of preview 1. See [`Preview::whence`].
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

/// Size and alignment of a record or scalar in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its name in the specification.
    pub name: &'static str,
    /// Bytes.
    pub size: u32,
    /// Bytes, a power of two.
    pub align: u32,
}

/// Defines layouts as constants.
macro_rules! layouts {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $size:literal, $align:literal;)*) => {
        $($(#[$doc])* pub const $constant: Layout = Layout { name: $name, size: $size, align: $align };)*
    };
}

layouts! {
    /// A 16-bit number.
    U16 = "u16", 2, 2;
    /// A 32-bit number, size or pointer.
    U32 = "u32", 4, 4;
    /// A 64-bit number.
    U64 = "u64", 8, 8;
    /// A descriptor.
    FD = "fd", 4, 4;
    /// `{buf u32@0, buf_len u32@4}`, also `ciovec`.
    IOVEC = "iovec", 8, 4;
    /// `{tag u8@0, pr_name_len u32@4}`.
    PRESTAT = "prestat", 8, 4;
    /// `{fs_filetype u8@0, fs_flags u16@2, fs_rights_base u64@8, fs_rights_inheriting u64@16}`.
    FDSTAT = "fdstat", 24, 8;
    /// `{d_next u64@0, d_ino u64@8, d_namlen u32@16, d_type u8@20}`.
    DIRENT = "dirent", 24, 8;
    /// `{userdata u64@0, error u16@8, type u8@10, nbytes u64@16, flags u16@24}`.
    EVENT = "event", 32, 8;
    /// See [`Preview::filestat`].
    FILESTAT = "filestat", 64, 8;
    /// See [`Preview::filestat`].
    FILESTAT_P0 = "filestat", 56, 8;
    /// See [`Preview::subscription`].
    SUBSCRIPTION = "subscription", 48, 8;
    /// See [`Preview::subscription`].
    SUBSCRIPTION_P0 = "subscription", 56, 8;
}

/// Offsets in a `filestat`. The device is at 0, the inode at 8 and the file type at 16 in both previews.
#[derive(Clone, Copy, Debug)]
pub struct FilestatLayout {
    /// The whole record.
    pub layout: Layout,
    /// Where the link count is.
    pub nlink: u32,
    /// Whether the link count has 32 bits and saturates.
    pub narrow_nlink: bool,
    /// Where the size is; the three times follow in steps of 8: access, modification, change.
    pub size: u32,
}

/// Offsets in a `subscription`. User data is at 0, the tag at 8 and a descriptor's number at 16 in both previews.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionLayout {
    /// The whole record.
    pub layout: Layout,
    /// Where a clock's id is.
    pub clock_id: u32,
    /// Where its timeout is.
    pub timeout: u32,
    /// Where its flags are.
    pub clock_flags: u32,
}

/// What differs between preview 1 and preview 0.
#[derive(Debug)]
pub struct Preview {
    /// The module that guests import.
    pub module: &'static str,
    /// Layout of `filestat`.
    pub filestat: FilestatLayout,
    /// Layout of `subscription`.
    pub subscription: SubscriptionLayout,
    /// The preview 1 `whence` for each number that the guest may pass.
    pub whence: [u8; 3],
}

/// `wasi_snapshot_preview1`.
pub static PREVIEW1: Preview = Preview {
    module: "wasi_snapshot_preview1",
    filestat: FilestatLayout { layout: FILESTAT, nlink: 24, narrow_nlink: false, size: 32 },
    subscription: SubscriptionLayout { layout: SUBSCRIPTION, clock_id: 16, timeout: 24, clock_flags: 40 },
    whence: [whence::SET, whence::CUR, whence::END],
};

/// `wasi_unstable`, as old Emscripten, AssemblyScript and wasienv emit.
pub static PREVIEW0: Preview = Preview {
    module: "wasi_unstable",
    filestat: FilestatLayout { layout: FILESTAT_P0, nlink: 20, narrow_nlink: true, size: 24 },
    subscription: SubscriptionLayout { layout: SUBSCRIPTION_P0, clock_id: 24, timeout: 32, clock_flags: 48 },
    whence: [whence::CUR, whence::END, whence::SET],
};

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A descriptor that must be open.
    Fd,
    /// An unsigned number.
    Num,
    /// A signed number.
    Signed,
    /// Bits of a set; the table names them.
    Flags(&'static [(u64, &'static str)]),
    /// Where an offset counts from; the numbers depend on the preview.
    Whence,
    /// A number with a name in the table.
    Enum(&'static [&'static str]),
    /// Pointer to the bytes of a path; the next parameter is its [`Kind::Len`].
    Path,
    /// How many bytes (or elements) the pointer before it covers.
    Len,
    /// Pointer to `iovec`s that the host fills; their number follows.
    Iovs,
    /// Pointer to `ciovec`s that the host reads; their number follows.
    Ciovs,
    /// Pointer to a buffer that the host fills; its length follows.
    OutBuf,
    /// Pointer to a result.
    Out(Layout),
    /// Pointer to results whose total size only the host knows.
    OutHostSized,
    /// Pointer to subscriptions; their number is the [`Kind::Count`].
    Subscriptions,
    /// Pointer to room for as many events.
    Events,
    /// The number of subscriptions.
    Count,
}

impl Kind {
    /// Whether this is an address in guest memory.
    pub fn is_pointer(self) -> bool {
        matches!(
            self,
            Kind::Path
                | Kind::Iovs
                | Kind::Ciovs
                | Kind::OutBuf
                | Kind::Out(_)
                | Kind::OutHostSized
                | Kind::Subscriptions
                | Kind::Events
        )
    }
}

/// A core WebAssembly type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
}

/// One parameter of a function.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name in the specification.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// What it is for.
    pub kind: Kind,
}

/// What a function gives a guest power over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Command-line arguments.
    Args,
    /// Environment variables.
    Env,
    /// Clocks and sleeping.
    Clock,
    /// Random numbers.
    Random,
    /// Descriptors that the guest already holds: standard streams, and whatever it was able to open.
    Stdio,
    /// Reading directories and what is in them.
    FsRead,
    /// Changing directories and what is in them.
    FsWrite,
    /// Accepting connections on listeners given by the host, and using them.
    Listen,
    /// Ending or yielding: nothing outside of the guest.
    Process,
    /// Starting threads. Not part of preview 1; named so that a report can say it.
    Threads,
    /// Anything that WASI does not define.
    Unknown,
}

/// One function of the interface.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, in order.
    pub params: &'static [Param],
    /// Whether it returns an errno: all do, but for `proc_exit`, which does not return.
    pub returns: bool,
    /// What it gives power over.
    pub class: Class,
    /// Whether preview 0 has it too.
    pub in_preview0: bool,
}

/// The table of the 46 functions, handed to the macro that is named.
///
/// A row reads `module::name(parameter: type [kind], …) -> errno | never, Class, p0 | p1;`, where the module is the
/// file of `p1/` that implements the function. Types are `u32` and `u64`, `i64` for the one signed parameter.
macro_rules! wasi_functions {
    ($then:ident $($prefix:tt)*) => { $then! { $($prefix)*
        args::args_get(argv: u32 [OutHostSized], argv_buf: u32 [OutHostSized]) -> errno, Args, p0;
        args::args_sizes_get(argc: u32 [Out(U32)], argv_buf_size: u32 [Out(U32)]) -> errno, Args, p0;
        args::environ_get(environ: u32 [OutHostSized], environ_buf: u32 [OutHostSized]) -> errno, Env, p0;
        args::environ_sizes_get(environc: u32 [Out(U32)], environ_buf_size: u32 [Out(U32)]) -> errno, Env, p0;
        clock::clock_res_get(id: u32 [Enum(clockid::NAMES)], resolution: u32 [Out(U64)]) -> errno, Clock, p0;
        clock::clock_time_get(id: u32 [Enum(clockid::NAMES)], precision: u64 [Num], time: u32 [Out(U64)])
            -> errno, Clock, p0;
        fd::fd_advise(fd: u32 [Fd], offset: u64 [Num], len: u64 [Num], advice: u32 [Enum(advice::NAMES)])
            -> errno, Stdio, p0;
        fd::fd_allocate(fd: u32 [Fd], offset: u64 [Num], len: u64 [Num]) -> errno, FsWrite, p0;
        fd::fd_close(fd: u32 [Fd]) -> errno, Stdio, p0;
        fd::fd_datasync(fd: u32 [Fd]) -> errno, Stdio, p0;
        fd::fd_fdstat_get(fd: u32 [Fd], stat: u32 [Out(FDSTAT)]) -> errno, Stdio, p0;
        fd::fd_fdstat_set_flags(fd: u32 [Fd], flags: u32 [Flags(fdflags::NAMES)]) -> errno, Stdio, p0;
        fd::fd_fdstat_set_rights(
            fd: u32 [Fd], fs_rights_base: u64 [Flags(rights::NAMES)], fs_rights_inheriting: u64 [Flags(rights::NAMES)]
        ) -> errno, Stdio, p0;
        fd::fd_filestat_get(fd: u32 [Fd], buf: u32 [Out(FILESTAT)]) -> errno, Stdio, p0;
        fd::fd_filestat_set_size(fd: u32 [Fd], size: u64 [Num]) -> errno, FsWrite, p0;
        fd::fd_filestat_set_times(
            fd: u32 [Fd], atim: u64 [Num], mtim: u64 [Num], fst_flags: u32 [Flags(fstflags::NAMES)]
        ) -> errno, FsWrite, p0;
        io::fd_pread(fd: u32 [Fd], iovs: u32 [Iovs], iovs_len: u32 [Len], offset: u64 [Num], nread: u32 [Out(U32)])
            -> errno, Stdio, p0;
        fd::fd_prestat_get(fd: u32 [Fd], buf: u32 [Out(PRESTAT)]) -> errno, FsRead, p0;
        fd::fd_prestat_dir_name(fd: u32 [Fd], path: u32 [OutBuf], path_len: u32 [Len]) -> errno, FsRead, p0;
        io::fd_pwrite(
            fd: u32 [Fd], iovs: u32 [Ciovs], iovs_len: u32 [Len], offset: u64 [Num], nwritten: u32 [Out(U32)]
        ) -> errno, Stdio, p0;
        io::fd_read(fd: u32 [Fd], iovs: u32 [Iovs], iovs_len: u32 [Len], nread: u32 [Out(U32)]) -> errno, Stdio, p0;
        readdir::fd_readdir(
            fd: u32 [Fd], buf: u32 [OutBuf], buf_len: u32 [Len], cookie: u64 [Num], bufused: u32 [Out(U32)]
        ) -> errno, FsRead, p0;
        fd::fd_renumber(fd: u32 [Fd], to: u32 [Fd]) -> errno, Stdio, p0;
        io::fd_seek(
            fd: u32 [Fd], offset: i64 [Signed], whence: u32 [Whence], newoffset: u32 [Out(U64)]
        ) -> errno, Stdio, p0;
        fd::fd_sync(fd: u32 [Fd]) -> errno, Stdio, p0;
        io::fd_tell(fd: u32 [Fd], offset: u32 [Out(U64)]) -> errno, Stdio, p0;
        io::fd_write(fd: u32 [Fd], iovs: u32 [Ciovs], iovs_len: u32 [Len], nwritten: u32 [Out(U32)])
            -> errno, Stdio, p0;
        path::path_create_directory(fd: u32 [Fd], path: u32 [Path], path_len: u32 [Len]) -> errno, FsWrite, p0;
        path::path_filestat_get(
            fd: u32 [Fd], flags: u32 [Flags(lookupflags::NAMES)], path: u32 [Path], path_len: u32 [Len],
            buf: u32 [Out(FILESTAT)]
        ) -> errno, FsRead, p0;
        path::path_filestat_set_times(
            fd: u32 [Fd], flags: u32 [Flags(lookupflags::NAMES)], path: u32 [Path], path_len: u32 [Len],
            atim: u64 [Num], mtim: u64 [Num], fst_flags: u32 [Flags(fstflags::NAMES)]
        ) -> errno, FsWrite, p0;
        path::path_link(
            old_fd: u32 [Fd], old_flags: u32 [Flags(lookupflags::NAMES)], old_path: u32 [Path],
            old_path_len: u32 [Len], new_fd: u32 [Fd], new_path: u32 [Path], new_path_len: u32 [Len]
        ) -> errno, FsWrite, p0;
        open::path_open(
            fd: u32 [Fd], dirflags: u32 [Flags(lookupflags::NAMES)], path: u32 [Path], path_len: u32 [Len],
            oflags: u32 [Flags(oflags::NAMES)], fs_rights_base: u64 [Flags(rights::NAMES)],
            fs_rights_inheriting: u64 [Flags(rights::NAMES)], fdflags: u32 [Flags(fdflags::NAMES)],
            opened_fd: u32 [Out(FD)]
        ) -> errno, FsRead, p0;
        path::path_readlink(
            fd: u32 [Fd], path: u32 [Path], path_len: u32 [Len], buf: u32 [OutBuf], buf_len: u32 [Len],
            bufused: u32 [Out(U32)]
        ) -> errno, FsRead, p0;
        path::path_remove_directory(fd: u32 [Fd], path: u32 [Path], path_len: u32 [Len]) -> errno, FsWrite, p0;
        path::path_rename(
            fd: u32 [Fd], old_path: u32 [Path], old_path_len: u32 [Len], new_fd: u32 [Fd], new_path: u32 [Path],
            new_path_len: u32 [Len]
        ) -> errno, FsWrite, p0;
        path::path_symlink(
            old_path: u32 [Path], old_path_len: u32 [Len], fd: u32 [Fd], new_path: u32 [Path],
            new_path_len: u32 [Len]
        ) -> errno, FsWrite, p0;
        path::path_unlink_file(fd: u32 [Fd], path: u32 [Path], path_len: u32 [Len]) -> errno, FsWrite, p0;
        poll::poll_oneoff(
            in_: u32 [Subscriptions], out: u32 [Events], nsubscriptions: u32 [Count], nevents: u32 [Out(U32)]
        ) -> errno, Clock, p0;
        proc::proc_exit(rval: u32 [Num]) -> never, Process, p0;
        proc::proc_raise(sig: u32 [Num]) -> errno, Process, p0;
        proc::sched_yield() -> errno, Process, p0;
        random::random_get(buf: u32 [OutBuf], buf_len: u32 [Len]) -> errno, Random, p0;
        sock::sock_accept(fd: u32 [Fd], flags: u32 [Flags(fdflags::NAMES)], result_fd: u32 [Out(FD)])
            -> errno, Listen, p1;
        sock::sock_recv(
            fd: u32 [Fd], ri_data: u32 [Iovs], ri_data_len: u32 [Len], ri_flags: u32 [Flags(riflags::NAMES)],
            ro_datalen: u32 [Out(U32)], ro_flags: u32 [Out(U16)]
        ) -> errno, Listen, p0;
        sock::sock_send(
            fd: u32 [Fd], si_data: u32 [Ciovs], si_data_len: u32 [Len], si_flags: u32 [Num],
            so_datalen: u32 [Out(U32)]
        ) -> errno, Listen, p0;
        sock::sock_shutdown(fd: u32 [Fd], how: u32 [Flags(sdflags::NAMES)]) -> errno, Listen, p0;
    } };
}
pub(crate) use wasi_functions;

/// The type that a parameter written as `u32`, `u64` or `i64` has in WebAssembly.
macro_rules! core_type {
    (u32) => {
        Type::I32
    };
    (u64) => {
        Type::I64
    };
    (i64) => {
        Type::I64
    };
}

/// Makes [`FUNCTIONS`] and the indices into it.
macro_rules! describe {
    ($($file:ident :: $name:ident($($param:ident : $ty:ident [$kind:expr]),*) -> $result:ident, $class:ident, $since:ident;)*) => {
        /// The 46 functions of preview 1, in the order of their names' first appearance in the specification.
        pub static FUNCTIONS: [Function; 46] = {
            use Kind::*;
            [$(Function {
                name: stringify!($name),
                params: &[$(Param { name: stringify!($param), ty: core_type!($ty), kind: $kind }),*],
                returns: describe!(@returns $result),
                class: Class::$class,
                in_preview0: describe!(@since $since),
            }),*]
        };

        /// The place of each function in [`FUNCTIONS`].
        #[allow(missing_docs, non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call { $($name),* }

        impl Call {
            /// Every function, in the order of the table.
            pub const ALL: [Call; 46] = [$(Call::$name),*];
        }
    };
    (@returns errno) => { true };
    (@returns never) => { false };
    (@since p0) => { true };
    (@since p1) => { false };
}

wasi_functions!(describe);

impl Call {
    /// What the table says of this function.
    pub fn function(self) -> &'static Function {
        &FUNCTIONS[self as usize]
    }

    /// The function with this name.
    pub fn by_name(name: &str) -> Option<Call> {
        Call::ALL.into_iter().find(|call| call.function().name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_46_functions_with_distinct_names_and_45_of_them_in_preview_0() {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 46);
        assert_eq!(FUNCTIONS.iter().filter(|function| function.in_preview0).count(), 45);
        assert_eq!(FUNCTIONS.iter().filter(|function| !function.returns).count(), 1);
    }

    #[test]
    fn every_buffer_is_followed_by_its_length() {
        for function in &FUNCTIONS {
            for (index, param) in function.params.iter().enumerate() {
                if matches!(param.kind, Kind::Path | Kind::Iovs | Kind::Ciovs | Kind::OutBuf) {
                    let next = function.params.get(index + 1).map(|next| next.kind);
                    assert_eq!(next, Some(Kind::Len), "{}.{}", function.name, param.name);
                }
                assert!(!param.kind.is_pointer() || param.ty == Type::I32);
            }
        }
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        let signature = |call: Call| -> String {
            let letter = |param: &Param| if param.ty == Type::I32 { 'i' } else { 'I' };
            call.function().params.iter().map(letter).collect()
        };
        // Written by hand from the witx files, independently of the table.
        assert_eq!(signature(Call::path_open), "iiiiiIIii");
        assert_eq!(signature(Call::fd_seek), "iIii");
        assert_eq!(signature(Call::path_filestat_set_times), "iiiiIIi");
        assert_eq!(signature(Call::fd_readdir), "iiiIi");
        assert_eq!(signature(Call::clock_time_get), "iIi");
        assert_eq!(signature(Call::path_link), "iiiiiii");
        assert_eq!(signature(Call::poll_oneoff), "iiii");
        assert_eq!(signature(Call::sock_recv), "iiiiii");
        assert_eq!(signature(Call::sched_yield), "");
    }
}
