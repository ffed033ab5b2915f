//! `path_open`: from rights and three sets of flags to what the file system understands.
//!
//! Of the rights asked for, only `FD_READ` and `FD_WRITE` decide anything: the mode in which the file is opened. Asking
//! for neither opens for reading, as far as the host is concerned. See `fdtable` for what becomes of the others.

use super::path::follow;
use super::{flags, read_path};
use crate::abi::{FD, fdflags, oflags, rights};
use crate::fdtable::Descriptor;
use crate::vfs::{OpenHow, Opened};
use crate::{Errno, GuestMem, Outcome, WasiCtx};

pub fn path_open(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    fs_rights_base: u64,
    _fs_rights_inheriting: u64,
    fdflags: u32,
    opened_fd: u32,
) -> Outcome {
    mem.check("opened_fd", opened_fd, FD)?;
    let path = read_path(ctx, mem, "path", path, path_len)?;
    let follow_final_symlink = follow(dirflags)?;
    let wanted = flags(oflags, oflags::ALL)?;
    let fdflags = flags(fdflags, fdflags::ALL)?;
    // A full table is found out before a file is created or cut.
    ctx.table.require_room()?;
    let (open, descriptor) = ctx.table.dir(fd)?;
    let inherited = descriptor.inheriting;
    let truncate = wanted & oflags::TRUNC != 0;
    if truncate && descriptor.rights & rights::PATH_FILESTAT_SET_SIZE == 0 {
        return Err(Errno::Notcapable.into());
    }
    let write = fs_rights_base & inherited & rights::FD_WRITE != 0;
    let read = !write || fs_rights_base & inherited & rights::FD_READ != 0;
    let how = OpenHow {
        read,
        write,
        append: fdflags & fdflags::APPEND != 0 && write,
        create: wanted & oflags::CREAT != 0,
        exclusive: wanted & oflags::EXCL != 0,
        truncate,
        directory: wanted & oflags::DIRECTORY != 0,
        follow_final_symlink,
        nonblock: fdflags & fdflags::NONBLOCK != 0,
        dsync: fdflags & fdflags::DSYNC != 0,
        sync: fdflags & fdflags::SYNC != 0,
        rsync: fdflags & fdflags::RSYNC != 0,
    };
    let opened = match open.dir.open(&path, &how)? {
        Opened::File(file) => Descriptor::file(file, fdflags, read, write, inherited),
        Opened::Dir(dir) => Descriptor::dir(dir, fdflags, inherited),
    };
    let number = ctx.table.insert(opened)?;
    mem.write_u32("opened_fd", opened_fd, number)
}
