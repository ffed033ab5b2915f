//! From a frame to the one that it returns to.

use wasmrun_runtime::vm::{Site, VmContext};

use crate::code::opcode_at;
use crate::field::HEAD;
use crate::returns::{self, RESTORE};

/// The frame that the frame at `sp`, of context `ctx`, returns to by `address`; `None` when its segment was
/// entered there.
///
/// # Safety
/// `address` is the return address of the frame at `sp`.
pub(crate) unsafe fn caller_of(address: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Option<Site> {
    // SAFETY: the caller's promise; two bytes before a return address is the distance between the frames.
    unsafe {
        if returns::is_exit(address) {
            return None;
        }
        let distance = address.sub(2).cast::<u16>().read_unaligned();
        let frame = sp.sub(distance.into());
        if address == returns::after_tail() {
            return caller_of(*frame as *const u8, frame, *frame.add(1) as *mut VmContext);
        }
        // Only callees of another instance return to the instruction that takes the context back.
        let vmctx = if opcode_at(address) == RESTORE {
            *frame.add(address.add(HEAD).cast::<u16>().read_unaligned().into()) as *mut VmContext
        } else {
            ctx
        };
        Some(Site { code: address.sub(1), frame, vmctx })
    }
}
