//! Random bytes, made in place in guest memory and in pieces, so that a guest can be cancelled in between.

use crate::{Errno, GuestMem, Outcome, WasiCtx};

/// A multiple of four: see [`Random`](crate::Random). Small enough that a piece takes no time that anybody notices.
const CHUNK: usize = 1 << 16;

#[inline]
pub fn random_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, buf: u32, buf_len: u32) -> Outcome {
    mem.check_bytes("buf", buf, buf_len)?;
    if buf_len > ctx.limits.random_bytes {
        return Err(Errno::Inval.into());
    }
    let (random, waiter) = (&mut ctx.random, &ctx.waiter);
    mem.fill("buf", buf, buf_len, CHUNK, |chunk| {
        waiter.check()?;
        Ok(random.fill(chunk)?)
    })
}
