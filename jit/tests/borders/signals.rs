//! Signals that are not traps. Each test watches a process of its own end.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::ptr;

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
        let mut action = std::mem::zeroed::<libc::sigaction>();
        match before {
            "rust" => {}
            "default" => action.sa_sigaction = libc::SIG_DFL,
            "ignore" => action.sa_sigaction = libc::SIG_IGN,
            "plain" => action.sa_sigaction = plain as *const () as usize,
            "siginfo" => {
                action.sa_sigaction = siginfo as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO;
            }
            _ => unreachable!(),
        }
        for signal in [libc::SIGSEGV, libc::SIGILL] {
            if before != "rust" {
                assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
            }
        }
    }
    run(fault);
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

fn run(fault: &str) {
    let mut guest = Guest::new("(module (memory 1))");
    // The handler is in place and works.
    let entry = Entry::new(&ty(&[I32], &[I32]));
    assert_eq!(guest.traps(&entry, load(), &mut [65536]), Trap::MemoryOutOfBounds);
    match fault {
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
        "plain in-host",
        "siginfo in-host",
        "plain in-code",
        "siginfo in-code",
        "plain sent",
        "plain sent-in-code",
    ] {
        assert_eq!(end_of(scenario).code(), Some(SEEN), "{scenario}");
    }
}

#[test]
fn faults_of_others_end_the_process_if_nobody_handles_them() {
    for before in ["rust", "default", "ignore"] {
        assert_eq!(end_of(&format!("{before} in-host")).signal(), Some(libc::SIGSEGV), "{before}");
        assert_eq!(end_of(&format!("{before} in-code")).signal(), Some(libc::SIGILL), "{before}");
    }
    assert_eq!(end_of("default sent").signal(), Some(libc::SIGSEGV));
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
