//! The binary interface of preview 1 and preview 0: layouts, flags, enumerations and the table of the 46 functions.
//!
//! Everything that needs to know what a call looks like reads these tables: registration in a linker, the preview 0
//! functions, the tracer, the capability report and the tests that aim a bad pointer at every parameter. The numbers are
//! those of the specification's `witx` files; offsets count from the start of a record, and all of guest memory is
//! little endian.
//!
//! Where the two previews differ, and these are all the places: the order of `whence`, the size of `filestat` (its
//! link count has 32 bits in preview 0) and the shape of a clock subscription.

mod functions;
mod layout;
mod sets;

pub(crate) use functions::wasi_functions;
pub use functions::{Call, Class, FUNCTIONS, Function, Kind, Param, Type};
pub use layout::{
    DIRENT, EVENT, FD, FDSTAT, FILESTAT, FILESTAT_P0, FilestatLayout, IOVEC, Layout, PRESTAT, PREVIEW0,
    PREVIEW1, Preview, SUBSCRIPTION, SUBSCRIPTION_P0, SubscriptionLayout, U16, U32, U64,
};
pub use sets::{
    advice, clockid, eventrwflags, eventtype, fdflags, filetype, fstflags, lookupflags, oflags, preopentype,
    riflags, rights, roflags, sdflags, subclockflags, whence,
};
