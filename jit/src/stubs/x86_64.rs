//! What the stubs need and Cranelift's language cannot say, for x86-64.

use std::arch::naked_asm;
use std::mem::offset_of;

use wasmrun_runtime::vm::{ExecContext, Landing, NativeWords, VmContext};

use super::RESOLVER;
use crate::builtins::functions;
use crate::trap::{current_exec, land};

/// Leaves compiled code for the handler of the innermost `enter` stub or, if the reason is an exception, for the innermost
/// one that a frame has for it. The reason is pending on `exec`.
///
/// # Safety
/// The caller is compiled code, entered through an `enter` stub of `exec`; there is no frame of Rust between
/// the two.
#[unsafe(naked)]
pub unsafe extern "C" fn raise(exec: *mut ExecContext) -> ! {
    naked_asm!(
        "mov rsi, rbp",
        "mov rdx, [rsp]",
        "jmp {raise_at}",
        raise_at = sym raise_at,
    )
}

/// As [`raise`], for a stub whose frame pointer is `frame`: the frame that called the stub raises.
///
/// # Safety
/// As for [`raise`]; the caller is the stub.
#[unsafe(naked)]
pub unsafe extern "C" fn raise_in_caller(exec: *mut ExecContext, frame: *const usize) -> ! {
    naked_asm!(
        "mov rdx, [rsi + 8]",
        "mov rsi, [rsi]",
        "jmp {raise_at}",
        raise_at = sym raise_at,
    )
}

/// As [`raise`], from the frame with this frame pointer and at this address. The stack is as it is when a function
/// has been called.
#[unsafe(naked)]
unsafe extern "C" fn raise_at(exec: *mut ExecContext, fp: usize, pc: usize) -> ! {
    naked_asm!(
        "sub rsp, 8",
        "call {land}",
        // It is in the execution context, and not on the stack that ends here.
        "mov rsp, [rax + {sp}]",
        "mov rbp, [rax + {fp}]",
        "mov rcx, [rax + {pc}]",
        // The two words that a handler is given, the second of which nobody reads. It expects no other register to be kept.
        "mov rax, [rax + {word}]",
        "xor edx, edx",
        "jmp rcx",
        land = sym land,
        sp = const offset_of!(Landing, sp),
        fp = const offset_of!(Landing, fp),
        pc = const offset_of!(Landing, pc),
        word = const offset_of!(Landing, word),
    )
}

/// Makes the entries of slow paths that may collect: they say where the code that calls is, whose references a collection
/// looks for by its frame pointer and the address that the call returns to.
macro_rules! collecting {
    ($($name:ident)*) => {
        $(
            /// A slow path that may collect.
            ///
            /// # Safety
            /// As for every builtin; the caller is compiled code.
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                naked_asm!(
                    "mov rax, [rdi + {exec}]",
                    "mov r11, [rsp]",
                    "mov [rax + {exit_fp}], rbp",
                    "mov [rax + {exit_pc}], r11",
                    "jmp {function}",
                    exec = const VmContext::EXEC,
                    exit_fp = const ExecContext::NATIVE + offset_of!(NativeWords, exit_fp),
                    exit_pc = const ExecContext::NATIVE + offset_of!(NativeWords, exit_pc),
                    function = sym functions::$name,
                )
            }
        )*
    };
}

collecting! { struct_new array_new array_new_data array_new_elem }

/// The code of a function that has none yet: asks the [`Resolver`](super::Resolver) and goes on where it
/// says, with every argument as it was. If the resolver has none either, leaves compiled code with what is
/// pending on the current execution context.
///
/// It never learns the function's type. It saves all registers that the `Tail` convention passes arguments in;
/// those that the convention keeps over a call, the resolver keeps too; and it leaves the arguments on the
/// stack where they are.
///
/// # Safety
/// As for any compiled function: called with a context, an id, and the arguments that its type asks for.
#[unsafe(naked)]
pub unsafe extern "C" fn lazy_bind() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        // 6 * 8 + 8 * 16: the stack is aligned for the call.
        "sub rsp, 176",
        "mov [rsp], rdi",
        "mov [rsp + 8], rsi",
        "mov [rsp + 16], rdx",
        "mov [rsp + 24], rcx",
        "mov [rsp + 32], r8",
        "mov [rsp + 40], r9",
        "movups [rsp + 48], xmm0",
        "movups [rsp + 64], xmm1",
        "movups [rsp + 80], xmm2",
        "movups [rsp + 96], xmm3",
        "movups [rsp + 112], xmm4",
        "movups [rsp + 128], xmm5",
        "movups [rsp + 144], xmm6",
        "movups [rsp + 160], xmm7",
        "mov rdx, rbp",
        "call [rip + {resolver}]",
        "test rax, rax",
        "jz 2f",
        "mov rdi, [rsp]",
        "mov rsi, [rsp + 8]",
        "mov rdx, [rsp + 16]",
        "mov rcx, [rsp + 24]",
        "mov r8, [rsp + 32]",
        "mov r9, [rsp + 40]",
        "movups xmm0, [rsp + 48]",
        "movups xmm1, [rsp + 64]",
        "movups xmm2, [rsp + 80]",
        "movups xmm3, [rsp + 96]",
        "movups xmm4, [rsp + 112]",
        "movups xmm5, [rsp + 128]",
        "movups xmm6, [rsp + 144]",
        "movups xmm7, [rsp + 160]",
        "leave",
        "jmp rax",
        "2:",
        "call {current_exec}",
        "mov rdi, rax",
        // The frame of the caller raises.
        "leave",
        "jmp {raise}",
        resolver = sym RESOLVER,
        current_exec = sym current_exec,
        raise = sym raise,
    )
}

/// Makes the entries of slow paths that keep every register which Cranelift's code uses, so that the code around them has none to
/// save for their sake: those that are not saved here, the convention of the system keeps. What they call returns the
/// execution context if the code must not go on, and null otherwise.
macro_rules! keeping {
    ($($(#[$doc:meta])* $name:ident = $($first:literal,)? $function:path;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// As for every builtin.
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                naked_asm!(
                    "push rbp",
                    "mov rbp, rsp",
                    // 9 * 8 + 16 * 16, and 8 to align the stack.
                    "sub rsp, 336",
                    "mov [rsp], rax",
                    "mov [rsp + 8], rcx",
                    "mov [rsp + 16], rdx",
                    "mov [rsp + 24], rsi",
                    "mov [rsp + 32], rdi",
                    "mov [rsp + 40], r8",
                    "mov [rsp + 48], r9",
                    "mov [rsp + 56], r10",
                    "mov [rsp + 64], r11",
                    "movups [rsp + 80], xmm0",
                    "movups [rsp + 96], xmm1",
                    "movups [rsp + 112], xmm2",
                    "movups [rsp + 128], xmm3",
                    "movups [rsp + 144], xmm4",
                    "movups [rsp + 160], xmm5",
                    "movups [rsp + 176], xmm6",
                    "movups [rsp + 192], xmm7",
                    "movups [rsp + 208], xmm8",
                    "movups [rsp + 224], xmm9",
                    "movups [rsp + 240], xmm10",
                    "movups [rsp + 256], xmm11",
                    "movups [rsp + 272], xmm12",
                    "movups [rsp + 288], xmm13",
                    "movups [rsp + 304], xmm14",
                    "movups [rsp + 320], xmm15",
                    $($first,)?
                    "call {function}",
                    "test rax, rax",
                    "jnz 2f",
                    "mov rax, [rsp]",
                    "mov rcx, [rsp + 8]",
                    "mov rdx, [rsp + 16]",
                    "mov rsi, [rsp + 24]",
                    "mov rdi, [rsp + 32]",
                    "mov r8, [rsp + 40]",
                    "mov r9, [rsp + 48]",
                    "mov r10, [rsp + 56]",
                    "mov r11, [rsp + 64]",
                    "movups xmm0, [rsp + 80]",
                    "movups xmm1, [rsp + 96]",
                    "movups xmm2, [rsp + 112]",
                    "movups xmm3, [rsp + 128]",
                    "movups xmm4, [rsp + 144]",
                    "movups xmm5, [rsp + 160]",
                    "movups xmm6, [rsp + 176]",
                    "movups xmm7, [rsp + 192]",
                    "movups xmm8, [rsp + 208]",
                    "movups xmm9, [rsp + 224]",
                    "movups xmm10, [rsp + 240]",
                    "movups xmm11, [rsp + 256]",
                    "movups xmm12, [rsp + 272]",
                    "movups xmm13, [rsp + 288]",
                    "movups xmm14, [rsp + 304]",
                    "movups xmm15, [rsp + 320]",
                    "leave",
                    "ret",
                    "2:",
                    "mov rdi, rax",
                    // The frame of the caller raises.
                    "leave",
                    "jmp {raise}",
                    function = sym $function,
                    raise = sym raise,
                )
            }
        )*
    };
}

keeping! {
    /// [`Builtin::Poll`](crate::builtins::Builtin::Poll): polls with the stack pointer of the code that calls, which is what that
    /// code has compared with the limit. It is behind the saved frame pointer and the return address.
    poll = "lea rdi, [rbp + 16]", functions::poll_at;
    /// [`Builtin::TableCallee`](crate::builtins::Builtin::TableCallee), with its arguments.
    table_callee = functions::table_callee;
}
