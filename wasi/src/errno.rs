//! The 77 error codes of WASI preview 1, and how host errors become one of them.
//!
//! One table gives number, name and host counterpart of every code; the enum, its printed name and the conversions
//! derive from it, so that a code cannot exist in one and be missing in another. The conversions are literal: the
//! translation of `EXDEV` to [`Errno::Perm`], which is right only for path resolution, is the resolver's business
//! (`vfs/host/resolve.rs`). A host code with no counterpart becomes [`Errno::Io`], never success.
//!
//! Everything in this crate that can fail on behalf of a guest returns [`Errno`].

use std::fmt;
use std::io;

/// Defines [`Errno`] from rows of `Variant = number, NAME, host counterparts, documentation`.
macro_rules! errnos {
    ($($variant:ident = $number:literal, $name:ident, [$($host:ident)?], $doc:literal;)*) => {
        /// An error code of WASI preview 1, with the numbers of the specification.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", $doc)]
                $variant = $number,
            )*
        }

        impl Errno {
            /// Every code, in the order of its number.
            pub const ALL: [Errno; 77] = [$(Errno::$variant),*];

            /// The name of the code in the specification, in capitals and without the leading `E` of C.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Errno::$variant => stringify!($name),)*
                }
            }
        }

        impl From<rustix::io::Errno> for Errno {
            /// The code that an error of the host has in preview 1; [`Errno::Io`] if it has none.
            fn from(host: rustix::io::Errno) -> Errno {
                // `if` and not `match`: two names may share one number.
                $($(
                    if host == rustix::io::Errno::$host {
                        return Errno::$variant;
                    }
                )?)*
                Errno::Io
            }
        }
    };
}

errnos! {
    Success = 0, SUCCESS, [], "No error occurred. The call completed.";
    TooBig = 1, TOOBIG, [TOOBIG], "Argument list too long.";
    Acces = 2, ACCES, [ACCESS], "Permission denied.";
    Addrinuse = 3, ADDRINUSE, [ADDRINUSE], "Address in use.";
    Addrnotavail = 4, ADDRNOTAVAIL, [ADDRNOTAVAIL], "Address not available.";
    Afnosupport = 5, AFNOSUPPORT, [AFNOSUPPORT], "Address family not supported.";
    Again = 6, AGAIN, [AGAIN], "Resource unavailable, or the operation would block.";
    Already = 7, ALREADY, [ALREADY], "Connection already in progress.";
    Badf = 8, BADF, [BADF], "Bad file descriptor.";
    Badmsg = 9, BADMSG, [BADMSG], "Bad message.";
    Busy = 10, BUSY, [BUSY], "Device or resource busy.";
    Canceled = 11, CANCELED, [CANCELED], "Operation cancelled.";
    Child = 12, CHILD, [CHILD], "No child processes.";
    Connaborted = 13, CONNABORTED, [CONNABORTED], "Connection aborted.";
    Connrefused = 14, CONNREFUSED, [CONNREFUSED], "Connection refused.";
    Connreset = 15, CONNRESET, [CONNRESET], "Connection reset.";
    Deadlk = 16, DEADLK, [DEADLK], "Resource deadlock would occur.";
    Destaddrreq = 17, DESTADDRREQ, [DESTADDRREQ], "Destination address required.";
    Dom = 18, DOM, [DOM], "Mathematics argument out of domain of function.";
    Dquot = 19, DQUOT, [DQUOT], "Disk quota exceeded.";
    Exist = 20, EXIST, [EXIST], "File exists.";
    Fault = 21, FAULT, [FAULT], "Bad address.";
    Fbig = 22, FBIG, [FBIG], "File too large.";
    Hostunreach = 23, HOSTUNREACH, [HOSTUNREACH], "Host is unreachable.";
    Idrm = 24, IDRM, [IDRM], "Identifier removed.";
    Ilseq = 25, ILSEQ, [ILSEQ], "Illegal byte sequence.";
    Inprogress = 26, INPROGRESS, [INPROGRESS], "Operation in progress.";
    Intr = 27, INTR, [INTR], "Interrupted function.";
    Inval = 28, INVAL, [INVAL], "Invalid argument.";
    Io = 29, IO, [IO], "I/O error.";
    Isconn = 30, ISCONN, [ISCONN], "Socket is connected.";
    Isdir = 31, ISDIR, [ISDIR], "Is a directory.";
    Loop = 32, LOOP, [LOOP], "Too many levels of symbolic links.";
    Mfile = 33, MFILE, [MFILE], "File descriptor table of this guest is full.";
    Mlink = 34, MLINK, [MLINK], "Too many links.";
    Msgsize = 35, MSGSIZE, [MSGSIZE], "Message too large.";
    Multihop = 36, MULTIHOP, [MULTIHOP], "Multihop attempted.";
    Nametoolong = 37, NAMETOOLONG, [NAMETOOLONG], "Filename too long.";
    Netdown = 38, NETDOWN, [NETDOWN], "Network is down.";
    Netreset = 39, NETRESET, [NETRESET], "Connection aborted by network.";
    Netunreach = 40, NETUNREACH, [NETUNREACH], "Network unreachable.";
    Nfile = 41, NFILE, [NFILE], "Too many files open in the whole system.";
    Nobufs = 42, NOBUFS, [NOBUFS], "No buffer space available.";
    Nodev = 43, NODEV, [NODEV], "No such device.";
    Noent = 44, NOENT, [NOENT], "No such file or directory.";
    Noexec = 45, NOEXEC, [NOEXEC], "Executable file format error.";
    Nolck = 46, NOLCK, [NOLCK], "No locks available.";
    Nolink = 47, NOLINK, [NOLINK], "Link has been severed.";
    Nomem = 48, NOMEM, [NOMEM], "Not enough space.";
    Nomsg = 49, NOMSG, [NOMSG], "No message of the desired type.";
    Noprotoopt = 50, NOPROTOOPT, [NOPROTOOPT], "Protocol not available.";
    Nospc = 51, NOSPC, [NOSPC], "No space left on device.";
    Nosys = 52, NOSYS, [NOSYS], "Function not supported.";
    Notconn = 53, NOTCONN, [NOTCONN], "The socket is not connected.";
    Notdir = 54, NOTDIR, [NOTDIR], "Not a directory, or a symbolic link to something else.";
    Notempty = 55, NOTEMPTY, [NOTEMPTY], "Directory not empty.";
    Notrecoverable = 56, NOTRECOVERABLE, [NOTRECOVERABLE], "State not recoverable.";
    Notsock = 57, NOTSOCK, [NOTSOCK], "Not a socket.";
    Notsup = 58, NOTSUP, [NOTSUP], "Not supported, or operation not supported on socket.";
    Notty = 59, NOTTY, [NOTTY], "Inappropriate I/O control operation.";
    Nxio = 60, NXIO, [NXIO], "No such device or address.";
    Overflow = 61, OVERFLOW, [OVERFLOW], "Value too large to be stored in the data type.";
    Ownerdead = 62, OWNERDEAD, [OWNERDEAD], "Previous owner died.";
    Perm = 63, PERM, [PERM], "Operation not permitted; also every path that would leave its directory.";
    Pipe = 64, PIPE, [PIPE], "Broken pipe.";
    Proto = 65, PROTO, [PROTO], "Protocol error.";
    Protonosupport = 66, PROTONOSUPPORT, [PROTONOSUPPORT], "Protocol not supported.";
    Prototype = 67, PROTOTYPE, [PROTOTYPE], "Protocol wrong type for socket.";
    Range = 68, RANGE, [RANGE], "Result too large.";
    Rofs = 69, ROFS, [ROFS], "Read-only file system.";
    Spipe = 70, SPIPE, [SPIPE], "Invalid seek.";
    Srch = 71, SRCH, [SRCH], "No such process.";
    Stale = 72, STALE, [STALE], "Stale file handle.";
    Timedout = 73, TIMEDOUT, [TIMEDOUT], "Connection timed out.";
    Txtbsy = 74, TXTBSY, [TXTBSY], "Text file busy.";
    Xdev = 75, XDEV, [XDEV], "Cross-device link.";
    Notcapable = 76, NOTCAPABLE, [], "The capabilities of the descriptor do not suffice.";
}

impl Errno {
    /// The number that the guest sees.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The code with this number, if the specification has one.
    pub fn from_code(code: u16) -> Option<Errno> {
        Errno::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Errno {
    /// The name as C programmers know it (`ENOENT`), but for the two that C does not have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Errno::Success => f.write_str("SUCCESS"),
            Errno::TooBig => f.write_str("E2BIG"),
            _ => write!(f, "E{}", self.name()),
        }
    }
}

impl std::error::Error for Errno {}

impl From<io::Error> for Errno {
    /// By the host's own error number where there is one, by the portable kind otherwise.
    fn from(error: io::Error) -> Errno {
        if let Some(host) = rustix::io::Errno::from_io_error(&error) {
            return Errno::from(host);
        }
        Errno::from(error.kind())
    }
}

impl From<io::ErrorKind> for Errno {
    fn from(kind: io::ErrorKind) -> Errno {
        use io::ErrorKind as Kind;
        match kind {
            Kind::NotFound => Errno::Noent,
            Kind::PermissionDenied => Errno::Acces,
            Kind::ConnectionRefused => Errno::Connrefused,
            Kind::ConnectionReset => Errno::Connreset,
            Kind::HostUnreachable => Errno::Hostunreach,
            Kind::NetworkUnreachable => Errno::Netunreach,
            Kind::ConnectionAborted => Errno::Connaborted,
            Kind::NotConnected => Errno::Notconn,
            Kind::AddrInUse => Errno::Addrinuse,
            Kind::AddrNotAvailable => Errno::Addrnotavail,
            Kind::NetworkDown => Errno::Netdown,
            Kind::BrokenPipe => Errno::Pipe,
            Kind::AlreadyExists => Errno::Exist,
            Kind::WouldBlock => Errno::Again,
            Kind::NotADirectory => Errno::Notdir,
            Kind::IsADirectory => Errno::Isdir,
            Kind::DirectoryNotEmpty => Errno::Notempty,
            Kind::ReadOnlyFilesystem => Errno::Rofs,
            Kind::StaleNetworkFileHandle => Errno::Stale,
            Kind::InvalidInput => Errno::Inval,
            Kind::InvalidData => Errno::Ilseq,
            Kind::TimedOut => Errno::Timedout,
            Kind::StorageFull => Errno::Nospc,
            Kind::NotSeekable => Errno::Spipe,
            Kind::QuotaExceeded => Errno::Dquot,
            Kind::FileTooLarge => Errno::Fbig,
            Kind::ResourceBusy => Errno::Busy,
            Kind::ExecutableFileBusy => Errno::Txtbsy,
            Kind::Deadlock => Errno::Deadlk,
            Kind::CrossesDevices => Errno::Xdev,
            Kind::TooManyLinks => Errno::Mlink,
            Kind::InvalidFilename => Errno::Nametoolong,
            Kind::ArgumentListTooLong => Errno::TooBig,
            Kind::Interrupted => Errno::Intr,
            Kind::Unsupported => Errno::Notsup,
            Kind::OutOfMemory => Errno::Nomem,
            _ => Errno::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_numbers_of_the_specification() {
        for (number, errno) in Errno::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(errno.code()), number);
            assert_eq!(Errno::from_code(errno.code()), Some(errno));
        }
        assert_eq!(Errno::from_code(77), None);
        // Anchors taken from the specification's list, so that a row that slips shows up.
        assert_eq!(Errno::Badf.code(), 8);
        assert_eq!(Errno::Inval.code(), 28);
        assert_eq!(Errno::Noent.code(), 44);
        assert_eq!(Errno::Perm.code(), 63);
        assert_eq!(Errno::Notcapable.code(), 76);
    }

    #[test]
    fn names_read_like_those_of_c() {
        assert_eq!(Errno::Noent.to_string(), "ENOENT");
        assert_eq!(Errno::Noent.name(), "NOENT");
        assert_eq!(Errno::TooBig.to_string(), "E2BIG");
    }

    #[test]
    fn host_errors_keep_their_meaning() {
        use rustix::io::Errno as Host;
        assert_eq!(Errno::from(Host::NOENT), Errno::Noent);
        assert_eq!(Errno::from(Host::XDEV), Errno::Xdev);
        assert_eq!(Errno::from(Host::OPNOTSUPP), Errno::Notsup);
        assert_eq!(Errno::from(io::Error::from_raw_os_error(Host::LOOP.raw_os_error())), Errno::Loop);
        assert_eq!(Errno::from(io::Error::from(io::ErrorKind::WouldBlock)), Errno::Again);
        assert_eq!(Errno::from(io::Error::other("strange")), Errno::Io);
    }
}
