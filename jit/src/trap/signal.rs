//! The signal handler.
//!
//! It runs on the thread that faulted, in the middle of anything. Until it knows that the fault is one of
//! compiled code it reads atomics, a thread-local and what the lookup reads, and writes nothing.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use wasmrun_runtime::trap::Trap;

use super::context::{position, resume_at};
use super::{Lookup, code, current_exec, land, trace};

/// Guard pages, `ud2`, divisions.
const SIGNALS: [c_int; 3] = [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE];

/// Addresses below this are null, which compiled code makes of addresses that its own checks find outside.
const NULL_END: usize = 4096;

static LOOKUP: OnceLock<Lookup> = OnceLock::new();

/// What was there before, for each of [`SIGNALS`].
static PREVIOUS: [OnceLock<libc::sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// For each of [`SIGNALS`], whether what was there before wanted to be called once, and has been.
static SPENT: [AtomicBool; SIGNALS.len()] = [const { AtomicBool::new(false) }; SIGNALS.len()];

/// Installs the signal handler, once for the process. The lookup of the first call counts; later calls answer
/// as the first did.
pub fn install(lookup: Lookup) -> io::Result<()> {
    static DONE: OnceLock<Result<(), c_int>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        LOOKUP.get_or_init(|| lookup);
        SIGNALS
            .into_iter()
            .zip(&PREVIOUS)
            .try_for_each(|(signal, previous)| replace(signal, previous))
            .map_err(|error| error.raw_os_error().unwrap_or_default())
    });
    done.map_err(io::Error::from_raw_os_error)
}

fn replace(signal: c_int, previous: &OnceLock<libc::sigaction>) -> io::Result<()> {
    let checked = |result| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks for the present action, which must be known before the first signal arrives here; then
    // names a handler with the signature that `SA_SIGINFO` promises.
    unsafe {
        checked(libc::sigaction(signal, ptr::null(), old.as_mut_ptr()))?;
        previous.get_or_init(|| old.assume_init());
        let mut new = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        new.sa_sigaction = handle as *const () as usize;
        // On the alternate stack because a handler before this one may count on it.
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut new.sa_mask);
        checked(libc::sigaction(signal, &raw const new, ptr::null_mut()))
    }
}

unsafe extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system calls this with valid pointers.
    unsafe {
        if trap(signal, info, context.cast()).is_none() {
            pass_on(signal, info, context);
        }
    }
}

/// Turns a fault of compiled code into a trap; `None` when it is none.
unsafe fn trap(signal: c_int, info: *const siginfo_t, context: *mut ucontext_t) -> Option<()> {
    // SAFETY: the pointers are those of a signal handler. `current_exec` is alive, and the code that faulted is
    // compiled code, which has no borrow of it.
    unsafe {
        let exec = current_exec();
        // Signals that another process or thread has sent say nothing about the code they interrupt.
        if exec.is_null() || (*info).si_code <= 0 {
            return None;
        }
        let (pc, fp) = position(&*context);
        let trap = code::trap_of(LOOKUP.get()?(pc)?.code)?;
        let is_its = match signal {
            // Where it accesses what it never should, code is wrong, and nothing that it does later is to be trusted.
            libc::SIGSEGV => {
                let address = (*info).si_addr() as usize;
                match trap {
                    Trap::MemoryOutOfBounds => address < NULL_END || (*exec).is_reserved(address),
                    Trap::TableOutOfBounds | Trap::ArrayOutOfBounds => address < NULL_END,
                    Trap::NullReference => (*exec).is_in_null(address),
                    _ => false,
                }
            }
            libc::SIGFPE => matches!(trap, Trap::IntegerDivisionByZero | Trap::IntegerOverflow),
            _ => trap != Trap::MemoryOutOfBounds,
        };
        if !is_its {
            return None;
        }
        (*exec).set_pending(trap.into());
        // Others leave the address behind a call there: one inside the next instruction keeps the rule that
        // the instruction is before it.
        trace::left(exec, fp, pc + 1);
        resume_at(&mut *context, land::entry(&(*exec).native));
        Some(())
    }
}

/// Does what would have happened if this handler had not been installed.
unsafe fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let at = SIGNALS.iter().position(|s| *s == signal);
    let previous = at.and_then(|at| {
        let previous = PREVIOUS[at].get()?;
        let once = previous.sa_flags & libc::SA_RESETHAND != 0;
        (!once || !SPENT[at].swap(true, Ordering::Relaxed)).then_some(previous)
    });
    let (action, flags) = previous.map_or((libc::SIG_DFL, 0), |p| (p.sa_sigaction, p.sa_flags));
    // SAFETY: the action and its flags are those that somebody has installed; the pointers are ours.
    unsafe {
        let sent = (*info).si_code <= 0;
        if let Some(previous) = previous {
            mask_as(previous, signal, context.cast());
        }
        match action {
            libc::SIG_IGN if sent => {}
            // No one survives ignoring a fault.
            libc::SIG_DFL | libc::SIG_IGN => {
                let mut default = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &raw const default, ptr::null_mut());
            }
            action if flags & libc::SA_SIGINFO != 0 => {
                let action: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = std::mem::transmute(action);
                action(signal, info, context);
            }
            action => {
                let action: extern "C" fn(c_int) = std::mem::transmute(action);
                action(signal);
            }
        }
        // With nothing installed, as a handler may have left it too, a fault happens again when this one returns, and ends the process.
        // What was sent does not happen again.
        if sent && is_default(signal) {
            libc::raise(signal);
        }
    }
}

/// Whether the system does what it does where nothing is installed.
unsafe fn is_default(signal: c_int) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks for the present action.
    unsafe {
        libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) == 0
            && now.assume_init().sa_sigaction == libc::SIG_DFL
    }
}

/// Blocks the signals that the system would have blocked for a handler, until this one returns.
unsafe fn mask_as(previous: &libc::sigaction, signal: c_int, context: *const ucontext_t) {
    // SAFETY: the context is that of a signal handler; the sets are valid.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const previous.sa_mask, ptr::null_mut());
        let was_blocked = libc::sigismember(&raw const (*context).uc_sigmask, signal) == 1;
        if previous.sa_flags & libc::SA_NODEFER != 0 && !was_blocked {
            let mut this = MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(this.as_mut_ptr());
            libc::sigaddset(this.as_mut_ptr(), signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, this.as_ptr(), ptr::null_mut());
        }
    }
}
