//! The machine's state as Linux shows it to a signal handler on x86-64.

use libc::{REG_RAX, REG_RBP, REG_RDX, REG_RIP, REG_RSP, ucontext_t};
use wasmrun_runtime::vm::Landing;

/// Where the signal struck: program counter and frame pointer.
pub(in crate::trap) fn position(context: &ucontext_t) -> (usize, usize) {
    let registers = &context.uc_mcontext.gregs;
    (registers[REG_RIP as usize] as usize, registers[REG_RBP as usize] as usize)
}

/// Makes the thread go on at `landing` when the handler returns.
pub(in crate::trap) fn resume_at(context: &mut ucontext_t, landing: Landing) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[REG_RIP as usize] = landing.pc as i64;
    registers[REG_RSP as usize] = landing.sp as i64;
    registers[REG_RBP as usize] = landing.fp as i64;
    // The registers in which an exception carries its two words.
    registers[REG_RAX as usize] = landing.word as i64;
    registers[REG_RDX as usize] = 0;
}
