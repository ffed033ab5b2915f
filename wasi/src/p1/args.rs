//! Arguments and environment: two lists of strings, each handed over as pointers and bytes.
//!
//! Sizes count the NULs. Both areas are checked before either is written.

use crate::abi::U32;
use crate::ctx::Strings;
use crate::{GuestMem, Outcome, WasiCtx};

pub fn args_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, argv: u32, argv_buf: u32) -> Outcome {
    charge(ctx, ctx.args.count(), ctx.args.size())?;
    get(&ctx.args, mem, ["argv", "argv_buf"], argv, argv_buf)
}

pub fn args_sizes_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, argc: u32, argv_buf_size: u32) -> Outcome {
    sizes(&ctx.args, mem, ["argc", "argv_buf_size"], argc, argv_buf_size)
}

pub fn environ_get(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, environ: u32, environ_buf: u32) -> Outcome {
    charge(ctx, ctx.env.count(), ctx.env.size())?;
    get(&ctx.env, mem, ["environ", "environ_buf"], environ, environ_buf)
}

pub fn environ_sizes_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    environc: u32,
    environ_buf_size: u32,
) -> Outcome {
    sizes(&ctx.env, mem, ["environc", "environ_buf_size"], environc, environ_buf_size)
}

fn charge(ctx: &mut WasiCtx, count: u32, size: u32) -> Outcome {
    ctx.charge(u64::from(count) * u64::from(U32.size) + u64::from(size))
}

fn get(strings: &Strings, mem: &mut GuestMem<'_>, names: [&str; 2], pointers: u32, bytes: u32) -> Outcome {
    mem.check_array(names[0], pointers, strings.count(), U32)?;
    mem.check_bytes(names[1], bytes, strings.size())?;
    for (index, start) in strings.starts().iter().enumerate() {
        mem.write_u32(names[0], pointers + index as u32 * U32.size, bytes + start)?;
    }
    mem.write_bytes(names[1], bytes, strings.bytes())
}

fn sizes(strings: &Strings, mem: &mut GuestMem<'_>, names: [&str; 2], count: u32, size: u32) -> Outcome {
    mem.check(names[0], count, U32)?;
    mem.check(names[1], size, U32)?;
    mem.write_u32(names[0], count, strings.count())?;
    mem.write_u32(names[1], size, strings.size())
}
