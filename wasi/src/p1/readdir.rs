//! Reading directories.
//!
//! The entries are taken when a guest begins at cookie 0 and kept with the descriptor: removing entries on the way
//! skips none, and a guest may go back to any cookie that it has seen. A cookie is the number of entries before it.
//! The buffer is filled to its end, with the last record cut where it ends: a guest takes a buffer that is not full for
//! the end of the directory.
//!
//! The snapshots of all of a guest's directories together stay below the limit.

use crate::abi::{DIRENT, U32};
use crate::fdtable::Object;
use crate::{Errno, GuestMem, Outcome, WasiCtx};
use std::sync::Arc;

pub fn fd_readdir(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    bufused: u32,
) -> Outcome {
    mem.check_bytes("buf", buf, buf_len)?;
    mem.check("bufused", bufused, U32)?;
    let open = ctx.table.dir(fd)?.0;
    let listing = match &open.listing {
        Some(listing) if cookie != 0 => Arc::clone(listing),
        _ => {
            let dir = Arc::clone(&open.dir);
            // The old snapshot goes first, so that it does not count.
            set_listing(ctx, fd, None)?;
            let room = ctx.limits.readdir_bytes.saturating_sub(ctx.table.listing_bytes());
            let listing: Arc<[_]> = dir.entries(room)?.into();
            set_listing(ctx, fd, Some(Arc::clone(&listing)))?;
            listing
        }
    };
    let first = usize::try_from(cookie).unwrap_or(usize::MAX).min(listing.len());
    let records = listing[first..].iter().map(|entry| u64::from(DIRENT.size) + entry.name.len() as u64);
    ctx.charge(up_to(records, buf_len.into()))?;
    let mut used = 0;
    for (index, entry) in listing.iter().enumerate().skip(first) {
        if used == buf_len {
            break;
        }
        let mut record = [0; DIRENT.size as usize];
        record[0..8].copy_from_slice(&(index as u64 + 1).to_le_bytes());
        record[8..16].copy_from_slice(&entry.ino.to_le_bytes());
        record[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
        record[20] = entry.kind.filetype();
        for part in [&record[..], &entry.name] {
            let count = part.len().min((buf_len - used) as usize);
            mem.write_bytes("buf", buf + used, &part[..count])?;
            used += count as u32;
        }
    }
    mem.write_u32("bufused", bufused, used)
}

/// The sum, or the limit where the sum is larger. Looks at no more than it takes to know.
fn up_to(numbers: impl Iterator<Item = u64>, limit: u64) -> u64 {
    let mut sum = 0;
    for number in numbers {
        sum += number;
        if sum >= limit {
            return limit;
        }
    }
    sum
}

fn set_listing(
    ctx: &mut WasiCtx,
    fd: u32,
    listing: Option<Arc<[crate::vfs::DirEntry]>>,
) -> Result<(), Errno> {
    if let Object::Dir(open) = &mut ctx.table.get_mut(fd)?.object {
        open.listing = listing;
    }
    Ok(())
}
