//! Makes the system refuse things, as hardened or exhausted ones do: with a seccomp filter, which a process cannot get rid of
//! and hands on to what it starts. For processes that a test has to itself. Linux on x86-64 only.
#![allow(unsafe_code, dead_code, reason = "each test file uses some of it")]

use std::io;

/// A system call that fails.
pub struct Refusal {
    call: libc::c_long,
    /// When all of these are true.
    when: &'static [When],
    errno: i32,
}

/// Something about the low half of an argument.
pub enum When {
    /// Argument so-and-so has all of these bits.
    Bits(u32, i32),
    /// Argument so-and-so is so large.
    AtLeast(u32, u32),
}

/// Executable memory in either of the ways in which it can be had without a page that can be written and executed. What is
/// in files can be executed: programs start.
pub const EXECUTABLE_MEMORY: &[Refusal] = &[
    Refusal {
        call: libc::SYS_mmap,
        when: &[When::Bits(2, libc::PROT_EXEC), When::Bits(3, libc::MAP_SHARED)],
        errno: libc::EACCES,
    },
    Refusal { call: libc::SYS_mprotect, when: &[When::Bits(2, libc::PROT_EXEC)], errno: libc::EACCES },
];

/// Files in memory.
pub const MEMORY_FILES: &[Refusal] =
    &[Refusal { call: libc::SYS_memfd_create, when: &[], errno: libc::EACCES }];

/// Threads.
pub const THREADS: &[Refusal] = &[
    Refusal { call: libc::SYS_clone, when: &[When::Bits(0, libc::CLONE_THREAD)], errno: libc::EAGAIN },
    // Its flags are behind a pointer, where filters do not look.
    Refusal { call: libc::SYS_clone3, when: &[], errno: libc::ENOSYS },
];

/// Writing half a kibibyte and more at a time: more than tests print, and less than any code on disk.
pub const DISK_SPACE: &[Refusal] =
    &[Refusal { call: libc::SYS_write, when: &[When::AtLeast(2, 512)], errno: libc::ENOSPC }];

/// Has the system refuse what a [program] says to this thread, and to those that it starts, from now on. It allocates nothing,
/// so that it can be done between fork and exec.
pub fn from_now_on(program: &mut [libc::sock_filter]) -> io::Result<()> {
    let checked = |status| if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter is a valid program of the length that it says.
    unsafe {
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        checked(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter))
    }
}

/// The program of a filter: the first refusal that applies counts, and everything else is allowed.
pub fn program(refusals: &[Refusal]) -> Vec<libc::sock_filter> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, k: u32, otherwise: usize| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: otherwise as u8,
        k,
    };
    let mut program = Vec::new();
    for Refusal { call, when, errno } in refusals {
        // Offsets in `seccomp_data`: the number of the call is at 0, and the arguments start at 16.
        program.extend([step(LOAD, 0, 0), step(EQUAL, *call as u32, 3 * when.len() + 1)]);
        for (i, condition) in when.iter().enumerate() {
            let otherwise = 3 * (when.len() - 1 - i) + 1;
            match *condition {
                When::Bits(argument, bits) => program.extend([
                    step(LOAD, 16 + 8 * argument, 0),
                    step(AND, bits as u32, 0),
                    step(EQUAL, bits as u32, otherwise),
                ]),
                When::AtLeast(argument, least) => program.extend([
                    step(LOAD, 16 + 8 * argument, 0),
                    step(AND, u32::MAX, 0),
                    step(AT_LEAST, least, otherwise),
                ]),
            }
        }
        program.push(step(RETURN, libc::SECCOMP_RET_ERRNO | *errno as u32, 0));
    }
    program.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0));
    program
}
