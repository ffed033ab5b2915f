//! Signals that are not traps. Each test watches a process of its own end.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cranelift_codegen::ir::TrapCode;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::FuncRef;

use super::stack_end;
use super::support::{Entry, Guest, I32, I64, caller, install, ty};
use super::traps::{load, unreachable};

const SCENARIO: &str = "WASMRUN_TEST_SIGNALS";
const SEEN: i32 = 42;

#[test]
#[ignore = "run by the other tests of this file, in a process of its own"]
fn scenario() {
    let scenario = std::env::var(SCENARIO).unwrap();
    let (before, fault) = scenario.split_once(' ').unwrap();
    // SAFETY: handlers that only end the process; no dump is wanted.
    unsafe {
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
        // A process that faults for ever is ended, too.
        libc::alarm(20);
        let mut action = std::mem::zeroed::<libc::sigaction>();
        match before {
            "rust" | "late" | "late-default" => {}
            "default" => action.sa_sigaction = libc::SIG_DFL,
            "ignore" => action.sa_sigaction = libc::SIG_IGN,
            "plain" => action.sa_sigaction = plain as *const () as usize,
            "siginfo" => {
                action.sa_sigaction = siginfo as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO;
            }
            "once" => {
                action.sa_sigaction = once as *const () as usize;
                action.sa_flags = libc::SA_RESETHAND;
            }
            "raises" => {
                action.sa_sigaction = raises as *const () as usize;
                action.sa_flags = libc::SA_RESETHAND | libc::SA_NODEFER;
            }
            "masks" => {
                action.sa_sigaction = masks as *const () as usize;
                libc::sigaddset(&raw mut action.sa_mask, libc::SIGUSR1);
            }
            _ => unreachable!(),
        }
        for signal in [libc::SIGSEGV, libc::SIGILL] {
            if action.sa_sigaction != libc::SIG_DFL || before == "default" {
                assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
            }
        }
    }
    run(before, fault);
    std::process::exit(0);
}

extern "C" fn plain(_: i32) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(SEEN) }
}

extern "C" fn siginfo(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the pointers are those of a signal handler.
    unsafe {
        let faulted = signal == libc::SIGILL || (*info).si_addr() as usize == 8;
        libc::_exit(if faulted && !context.is_null() { SEEN } else { 1 })
    }
}

/// Looks at what has happened, and leaves the rest to the system.
extern "C" fn once(_: i32) {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    if CALLS.fetch_add(1, Relaxed) > 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(1) };
    }
}

/// Ends the process by the signal, at once.
extern "C" fn raises(signal: i32) {
    // SAFETY: ends the process.
    unsafe {
        libc::raise(signal);
        libc::_exit(1);
    }
}

/// Finds the signals blocked that it has asked for, its own among them.
extern "C" fn masks(signal: i32) {
    // SAFETY: asks for the present mask, and ends the process.
    unsafe {
        let mut now = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut now);
        let blocked = |signal| libc::sigismember(&raw const now, signal) == 1;
        let right = blocked(signal) && blocked(libc::SIGUSR1) && !blocked(libc::SIGUSR2);
        libc::_exit(if right { SEEN } else { 1 })
    }
}

/// What was there when the late handler came, and how often that was called.
static BEFORE_LATE: OnceLock<libc::sigaction> = OnceLock::new();
static LATE: AtomicUsize = AtomicUsize::new(0);

/// Keeps its own faults to itself and hands all others on.
extern "C" fn late(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    LATE.fetch_add(1, Relaxed);
    // SAFETY: the pointers are those of a signal handler; the handler before is one that takes them.
    unsafe {
        if (*info).si_addr() as usize == 8 {
            libc::_exit(SEEN);
        }
        let before: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
            std::mem::transmute(BEFORE_LATE.get().unwrap().sa_sigaction);
        before(signal, info, context);
    }
}

fn install_late(action: usize) {
    // SAFETY: the handler takes what it is promised; plain data besides.
    unsafe {
        let mut new = std::mem::zeroed::<libc::sigaction>();
        let mut old = std::mem::zeroed::<libc::sigaction>();
        new.sa_sigaction = action;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const new, &raw mut old), 0);
        let _ = BEFORE_LATE.set(old);
    }
}

fn run(before: &str, fault: &str) {
    let mut guest = Guest::new("(module (memory 1))");
    // The handler is in place and works.
    let entry = Entry::new(&ty(&[I32], &[I32]));
    assert_eq!(guest.traps(&entry, load(), &mut [65536]), Trap::MemoryOutOfBounds);
    match before {
        "late" => install_late(late as *const () as usize),
        "late-default" => install_late(libc::SIG_DFL),
        _ => {}
    }
    match fault {
        "traps" => {
            for turn in 1..=3 {
                assert_eq!(guest.traps(&entry, load(), &mut [65536]), Trap::MemoryOutOfBounds);
                assert_eq!(LATE.load(Relaxed), turn);
            }
        }
        "in-host" => {
            let func = guest.host_func(ty(&[], &[I64]), |_| {
                // SAFETY: it is not.
                unsafe { ptr::without_provenance::<u64>(8).read_volatile() };
                Ok(())
            });
            let entry = Entry::new(&ty(&[I64], &[I64]));
            let _ = guest.call(&entry, caller("return v9"), &mut [func as *const FuncRef as u64]);
        }
        "in-code" => {
            // Code that has no trap where it faults.
            let ud2 = install(&[0x0f, 0x0b], Vec::new());
            let _ = guest.call(&entry, ud2, &mut [0]);
        }
        "elsewhere" => {
            // mov rax, an address that is nobody's; mov eax, [rax]; ret: an access of the guest's memory gone astray.
            let mut code = vec![0x48, 0xb8];
            code.extend(0x5000_0000_0000_u64.to_le_bytes());
            code.extend([0x8b, 0x00, 0xc3]);
            let code = install(&code, vec![(10, TrapCode::HEAP_OUT_OF_BOUNDS)]);
            let _ = guest.call(&entry, code, &mut [0]);
        }
        "overflow" => stack_end::overflow(),
        "sent-in-code" => {
            // mov edi, edx; mov esi, SIGSEGV; mov eax, SYS_tkill; syscall; nop: the signal arrives at an
            // instruction that may trap, and is none of its own.
            let code = [0x89, 0xd7, 0xbe, 11, 0, 0, 0, 0xb8, 200, 0, 0, 0, 0x0f, 0x05, 0x90, 0xc3];
            let code = install(&code, vec![(14, TrapCode::HEAP_OUT_OF_BOUNDS)]);
            // SAFETY: asks for a number.
            let thread = unsafe { libc::syscall(libc::SYS_gettid) } as u64;
            let _ = guest.call(&entry, code, &mut [thread]);
        }
        "sent-twice" => {
            for _ in 0..2 {
                // SAFETY: the handler is ours.
                unsafe { libc::raise(libc::SIGSEGV) };
            }
        }
        "sent" => {
            // SAFETY: the handler is ours.
            unsafe { libc::raise(libc::SIGSEGV) };
            assert_eq!(guest.traps(&entry, unreachable(Trap::OutOfFuel), &mut [0]), Trap::OutOfFuel);
        }
        _ => unreachable!(),
    }
}

fn end_of(scenario: &str) -> ExitStatus {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "signals::scenario", "--ignored", "--test-threads=1"])
        .env(SCENARIO, scenario)
        .output()
        .unwrap();
    output.status
}

#[test]
fn faults_of_others_reach_the_handler_that_was_there_before() {
    for scenario in [
        "plain elsewhere",
        "plain in-host",
        "siginfo in-host",
        "plain in-code",
        "siginfo in-code",
        "plain sent",
        "plain sent-in-code",
        "masks in-host",
    ] {
        assert_eq!(end_of(scenario).code(), Some(SEEN), "{scenario}");
    }
}

#[test]
fn a_handler_that_was_there_before_and_wants_to_be_called_once_is_called_once() {
    for scenario in ["once in-host", "raises in-host", "once sent-twice"] {
        assert_eq!(end_of(scenario).signal(), Some(libc::SIGSEGV), "{scenario}");
    }
    assert_eq!(end_of("once in-code").signal(), Some(libc::SIGILL));
}

#[test]
fn a_handler_that_comes_later_and_hands_on_takes_no_traps_away() {
    assert!(end_of("late traps").success());
    assert_eq!(end_of("late in-host").code(), Some(SEEN));
}

#[test]
fn where_somebody_has_taken_the_handler_away_a_fault_ends_the_process() {
    assert_eq!(end_of("late-default traps").signal(), Some(libc::SIGSEGV));
}

#[test]
fn faults_of_others_end_the_process_if_nobody_handles_them() {
    for before in ["rust", "default", "ignore"] {
        assert_eq!(end_of(&format!("{before} in-host")).signal(), Some(libc::SIGSEGV), "{before}");
        assert_eq!(end_of(&format!("{before} in-code")).signal(), Some(libc::SIGILL), "{before}");
    }
    for before in ["rust", "default"] {
        assert_eq!(end_of(&format!("{before} sent")).signal(), Some(libc::SIGSEGV), "{before}");
    }
}

#[test]
fn compiled_code_that_accesses_what_it_never_should_is_no_trap_of_the_guest() {
    for before in ["rust", "default"] {
        assert_eq!(end_of(&format!("{before} elsewhere")).signal(), Some(libc::SIGSEGV), "{before}");
    }
}

#[test]
fn a_stack_that_is_smaller_than_the_store_was_told_is_not_overrun() {
    // In a process of its own, which the handler of Rust would end.
    assert!(end_of("rust overflow").success());
}

#[test]
fn an_ignored_signal_that_somebody_sends_stays_ignored() {
    assert_eq!(end_of("ignore sent").code(), Some(0));
}
