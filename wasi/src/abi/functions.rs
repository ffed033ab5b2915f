//! The table of the 46 functions, and what is made from it.

use super::layout::{FD, FDSTAT, FILESTAT, Layout, PRESTAT, U16, U32, U64};
use super::sets::{advice, clockid, fdflags, fstflags, lookupflags, oflags, riflags, rights, sdflags};

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
