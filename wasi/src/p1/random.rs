//! Random bytes, made in place in guest memory and in pieces, so that a guest can be interrupted in between.

use crate::{Errno, GuestMem, Outcome, WasiCtx};

#[inline]
pub fn random_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, buf: u32, buf_len: u32) -> Outcome {
    mem.check_bytes("buf", buf, buf_len)?;
    if buf_len > ctx.limits.random_bytes {
        return Err(Errno::Inval.into());
    }
    let random = &mut ctx.random;
    // Pieces are multiples of four bytes, as [`Random`](crate::Random) has it, and inside of a memory of 32-bit addresses.
    let filled = ctx.waiter.in_pieces(buf_len.into(), |piece| {
        let len = piece.end - piece.start;
        mem.fill("buf", buf + piece.start as u32, len as u32, |bytes| Ok(random.fill(bytes)?))?;
        Ok(len)
    })?;
    // There is no filling a part: the generator failed on the way.
    if filled < buf_len.into() { Err(Errno::Io.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::{Attached, PIECE};
    use crate::{Fault, Random};

    #[test]
    fn making_many_numbers_can_be_interrupted_and_goes_on_where_it_was() {
        let len = 2 * PIECE as u32 + 12;
        let numbers = |pokes: bool| {
            let mut ctx = WasiCtx::builder().random(Random::seeded(1)).build().unwrap();
            let mut memory = vec![0; len as usize];
            let waker = ctx.waiter.waker();
            ctx.waiter.attach(Attached::Wanted);
            let mut call = |ctx: &mut WasiCtx| random_get(ctx, &mut GuestMem::new(&mut memory), 0, len);
            assert_eq!(call(&mut ctx), Err(Fault::Interrupted), "the engine is told before it begins");
            ctx.waiter.attach(Attached::Yes);
            if pokes {
                waker();
                assert_eq!(call(&mut ctx), Err(Fault::Interrupted));
            }
            call(&mut ctx).unwrap();
            memory
        };
        assert_eq!(numbers(true), numbers(false));
    }
}
