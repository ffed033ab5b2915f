//! Reading the clocks. The precision that a guest asks for is a hint, and not needed.

use crate::abi::U64;
use crate::{GuestMem, Outcome, WasiCtx};

pub fn clock_res_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, id: u32, resolution: u32) -> Outcome {
    mem.check("resolution", resolution, U64)?;
    mem.write_u64("resolution", resolution, ctx.clocks.resolution(id)?)
}

#[inline]
pub fn clock_time_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Outcome {
    mem.check("time", time, U64)?;
    mem.write_u64("time", time, ctx.clocks.now(id)?)
}
