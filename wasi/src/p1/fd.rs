//! Descriptors themselves: attributes, flags, rights, sizes and times, preopened names, closing and renumbering.

use super::{filestat_layout, flags, times, write_filestat};
use crate::abi::{FDSTAT, PRESTAT, fdflags, preopentype, rights};
use crate::fdtable::{Descriptor, Object, OpenDir};
use crate::vfs::{Advice, File, FileKind, FileStat};
use crate::{Errno, GuestMem, Outcome, WasiCtx};

/// Flags that can change after opening.
const SETTABLE: u64 = fdflags::APPEND | fdflags::NONBLOCK;

/// The file behind a descriptor. Directories and sockets are `EBADF`, standard streams have no positions.
fn file(descriptor: &Descriptor) -> Result<&dyn File, Errno> {
    match &descriptor.object {
        Object::File { file, .. } => Ok(&**file),
        Object::Stream(_) => Err(Errno::Spipe),
        Object::Dir(_) | Object::Listener(_) | Object::Connection(_) => Err(Errno::Badf),
    }
}

/// As [`file`], if the guest may write to it through this descriptor.
fn writable_file(descriptor: &Descriptor) -> Result<&dyn File, Errno> {
    let file = file(descriptor)?;
    descriptor.require_direction(rights::FD_WRITE)?;
    Ok(file)
}

pub fn fd_advise(
    ctx: &mut WasiCtx,
    _: &mut GuestMem<'_>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Outcome {
    const ADVICE: [Advice; 6] = [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ];
    let file = file(ctx.table.get(fd)?)?;
    let advice = ADVICE.get(advice as usize).ok_or(Errno::Inval)?;
    Ok(file.advise(offset, len, *advice)?)
}

pub fn fd_allocate(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32, offset: u64, len: u64) -> Outcome {
    let file = writable_file(ctx.table.get(fd)?)?;
    ctx.waiter.in_steps(len, |done| Ok(file.allocate_some(offset, len, done)?))
}

pub fn fd_close(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32) -> Outcome {
    Ok(ctx.table.remove(fd).map(drop)?)
}

pub fn fd_datasync(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32) -> Outcome {
    sync(ctx.table.get(fd)?, true)
}

pub fn fd_sync(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32) -> Outcome {
    sync(ctx.table.get(fd)?, false)
}

fn sync(descriptor: &Descriptor, data_only: bool) -> Outcome {
    Ok(match &descriptor.object {
        Object::File { file, .. } if data_only => file.datasync(),
        Object::File { file, .. } => file.sync(),
        Object::Dir(open) if data_only => open.dir.datasync(),
        Object::Dir(open) => open.dir.sync(),
        Object::Stream(stream) => stream.sync(data_only),
        Object::Listener(_) | Object::Connection(_) => Err(Errno::Inval),
    }?)
}

pub fn fd_fdstat_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, fd: u32, stat: u32) -> Outcome {
    mem.check("stat", stat, FDSTAT)?;
    let descriptor = ctx.table.get(fd)?;
    let mut record = [0; FDSTAT.size as usize];
    record[0] = descriptor.kind().filetype();
    record[2..4].copy_from_slice(&(descriptor.flags as u16).to_le_bytes());
    record[8..16].copy_from_slice(&descriptor.rights.to_le_bytes());
    record[16..24].copy_from_slice(&descriptor.inheriting.to_le_bytes());
    mem.write_bytes("stat", stat, &record)
}

/// Asking for a synchronous mode that the file was not opened in is `EINVAL`; taking one away does nothing, as on
/// Linux.
pub fn fd_fdstat_set_flags(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32, flags: u32) -> Outcome {
    let descriptor = ctx.table.get_mut(fd)?;
    let wanted = self::flags(flags, fdflags::ALL)?;
    let fixed = descriptor.flags & !SETTABLE;
    if wanted & !SETTABLE & !fixed != 0 {
        return Err(Errno::Inval.into());
    }
    descriptor.flags = fixed | (wanted & SETTABLE);
    Ok(())
}

pub fn fd_fdstat_set_rights(
    ctx: &mut WasiCtx,
    _: &mut GuestMem<'_>,
    fd: u32,
    fs_rights_base: u64,
    fs_rights_inheriting: u64,
) -> Outcome {
    let descriptor = ctx.table.get_mut(fd)?;
    if fs_rights_base & !descriptor.rights != 0 || fs_rights_inheriting & !descriptor.inheriting != 0 {
        return Err(Errno::Notcapable.into());
    }
    descriptor.rights = fs_rights_base;
    descriptor.inheriting = fs_rights_inheriting;
    Ok(())
}

pub fn fd_filestat_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, fd: u32, buf: u32) -> Outcome {
    mem.check("buf", buf, filestat_layout(ctx))?;
    let stat = match &ctx.table.get(fd)?.object {
        Object::File { file, .. } => file.stat()?,
        Object::Dir(open) => open.dir.self_stat()?,
        Object::Stream(stream) => stream.stat()?,
        Object::Listener(_) | Object::Connection(_) => FileStat::nowhere(FileKind::Socket, 0),
    };
    write_filestat(ctx, mem, "buf", buf, &stat)
}

pub fn fd_filestat_set_size(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32, size: u64) -> Outcome {
    Ok(writable_file(ctx.table.get(fd)?)?.set_len(size)?)
}

pub fn fd_filestat_set_times(
    ctx: &mut WasiCtx,
    _: &mut GuestMem<'_>,
    fd: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Outcome {
    let descriptor = ctx.table.get(fd)?;
    let (atim, mtim) = times(atim, mtim, fst_flags)?;
    Ok(match &descriptor.object {
        Object::File { file, .. } => file.set_times(atim, mtim),
        Object::Dir(open) => open.dir.self_set_times(atim, mtim),
        Object::Stream(_) | Object::Listener(_) | Object::Connection(_) => Err(Errno::Badf),
    }?)
}

/// The name of a preopened directory. Anything else is `EBADF`, which is what ends the scan with which C libraries
/// begin; any other code would end the program.
fn preopen(ctx: &WasiCtx, fd: u32) -> Result<&[u8], Errno> {
    match &ctx.table.get(fd)?.object {
        Object::Dir(OpenDir { preopen: Some(name), .. }) => Ok(name),
        _ => Err(Errno::Badf),
    }
}

pub fn fd_prestat_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, fd: u32, buf: u32) -> Outcome {
    mem.check("buf", buf, PRESTAT)?;
    let name = preopen(ctx, fd)?;
    let mut record = [0; PRESTAT.size as usize];
    record[0] = preopentype::DIR;
    // The builder has bounded the name.
    record[4..].copy_from_slice(&(name.len() as u32).to_le_bytes());
    mem.write_bytes("buf", buf, &record)
}

pub fn fd_prestat_dir_name(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    mem.check_bytes("path", path, path_len)?;
    let name = preopen(ctx, fd)?;
    if name.len() > path_len as usize {
        return Err(Errno::Nametoolong.into());
    }
    mem.write_bytes("path", path, name)
}

pub fn fd_renumber(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32, to: u32) -> Outcome {
    Ok(ctx.table.renumber(fd, to)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::oflags;
    use crate::vfs::Perm;
    use crate::wait::Attached;
    use crate::{Fault, p1};

    #[test]
    fn reserving_much_space_can_be_interrupted_and_the_file_grows_when_all_of_it_is_there() {
        const LEN: u64 = 80 << 20;
        let dir = tempfile::tempdir().unwrap();
        let mut builder = WasiCtx::builder();
        builder.preopened_dir(dir.path(), "/", Perm::ReadWrite).unwrap();
        let mut ctx = builder.build().unwrap();
        let mut memory = *b"f...1234";
        let mut mem = GuestMem::new(&mut memory);
        let (create, rights) = (oflags::CREAT as u32, rights::FD_WRITE | rights::FD_ALLOCATE);
        p1::path_open(&mut ctx, &mut mem, 3, 0, 0, 1, create, rights, rights, 0, 4).unwrap();
        let size = || dir.path().join("f").metadata().unwrap().len();
        let mut call = |ctx: &mut WasiCtx| p1::fd_allocate(ctx, &mut mem, 4, 5, LEN);
        let waker = ctx.waiter.waker();
        ctx.waiter.attach(Attached::Wanted);
        match call(&mut ctx) {
            // Not every file system can.
            Err(Fault::Errno(Errno::Notsup | Errno::Nospc)) => return,
            outcome => assert_eq!(outcome, Err(Fault::Interrupted), "the engine is told"),
        }
        assert_eq!(size(), 0);
        ctx.waiter.attach(Attached::Yes);
        waker();
        assert_eq!(call(&mut ctx), Err(Fault::Interrupted));
        assert_eq!(size(), 0);
        assert_eq!(call(&mut ctx), Ok(()));
        assert_eq!(size(), 5 + LEN);
    }
}
