//! Operations on names: everything that takes a path but `path_open`.
//!
//! Paths are checked for their grammar here and resolved by the file system behind the directory. Whether something may
//! be changed is the mount's decision, and so is what two directories have to do with each other.

use super::{filestat_layout, flags, read_path, read_text, times, write_filestat};
use crate::abi::{U32, lookupflags};
use crate::{Errno, GuestMem, Outcome, WasiCtx};

/// Whether the last component is followed if it is a symbolic link.
pub fn follow(lookup: u32) -> Result<bool, Errno> {
    Ok(flags(lookup, lookupflags::ALL)? & lookupflags::SYMLINK_FOLLOW != 0)
}

pub fn path_create_directory(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let path = read_path(ctx, mem, "path", path, path_len)?;
    Ok(ctx.table.dir(fd)?.0.dir.create_dir(&path)?)
}

pub fn path_filestat_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    buf: u32,
) -> Outcome {
    mem.check("buf", buf, filestat_layout(ctx))?;
    let path = read_path(ctx, mem, "path", path, path_len)?;
    let stat = ctx.table.dir(fd)?.0.dir.metadata(&path, follow(flags)?)?;
    write_filestat(ctx, mem, "buf", buf, &stat)
}

pub fn path_filestat_set_times(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Outcome {
    let path = read_path(ctx, mem, "path", path, path_len)?;
    let (atim, mtim) = times(atim, mtim, fst_flags)?;
    Ok(ctx.table.dir(fd)?.0.dir.set_times(&path, follow(flags)?, atim, mtim)?)
}

/// A link is itself linked, never followed: asking for that is `EINVAL`.
pub fn path_link(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    mem.check_bytes("new_path", new_path, new_path_len)?;
    let old = read_path(ctx, mem, "old_path", old_path, old_path_len)?;
    let new = read_path(ctx, mem, "new_path", new_path, new_path_len)?;
    if follow(old_flags)? {
        return Err(Errno::Inval.into());
    }
    let (from, to) = (ctx.table.dir(old_fd)?.0, ctx.table.dir(new_fd)?.0);
    Ok(from.dir.link(&old, &*to.dir, &new)?)
}

/// A target longer than the buffer is cut, and no NUL is written.
pub fn path_readlink(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    bufused: u32,
) -> Outcome {
    mem.check_bytes("buf", buf, buf_len)?;
    mem.check("bufused", bufused, U32)?;
    let path = read_path(ctx, mem, "path", path, path_len)?;
    let target = ctx.table.dir(fd)?.0.dir.read_link(&path)?;
    let used = target.len().min(buf_len as usize);
    ctx.charge(used as u64)?;
    mem.write_bytes("buf", buf, &target[..used])?;
    mem.write_u32("bufused", bufused, used as u32)
}

pub fn path_remove_directory(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let path = read_path(ctx, mem, "path", path, path_len)?;
    Ok(ctx.table.dir(fd)?.0.dir.remove_dir(&path)?)
}

pub fn path_rename(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    mem.check_bytes("new_path", new_path, new_path_len)?;
    let old = read_path(ctx, mem, "old_path", old_path, old_path_len)?;
    let new = read_path(ctx, mem, "new_path", new_path, new_path_len)?;
    let (from, to) = (ctx.table.dir(fd)?.0, ctx.table.dir(new_fd)?.0);
    Ok(from.dir.rename(&old, &*to.dir, &new)?)
}

pub fn path_symlink(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    mem.check_bytes("new_path", new_path, new_path_len)?;
    let target = read_text(ctx, mem, "old_path", old_path, old_path_len)?;
    let path = read_path(ctx, mem, "new_path", new_path, new_path_len)?;
    Ok(ctx.table.dir(fd)?.0.dir.symlink(&target, &path)?)
}

pub fn path_unlink_file(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let path = read_path(ctx, mem, "path", path, path_len)?;
    Ok(ctx.table.dir(fd)?.0.dir.unlink(&path)?)
}
