//! How values lie in guest memory, and where the two previews differ in that.

use super::sets::whence;

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

impl Preview {
    /// The preview whose functions are imported from the module of this name, if there is one.
    pub fn of_module(module: &str) -> Option<&'static Preview> {
        [&PREVIEW1, &PREVIEW0].into_iter().find(|preview| preview.module == module)
    }
}
