//! What the arena promises about things that belong to a process: mappings, descriptors, limits, signals, forks.
//!
//! Such a test runs in a process of its own: [`alone`] starts this test program again for the one test.

use std::env;
use std::fs;
use std::mem;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use std::thread;

use super::*;

/// Runs `body` in a process of its own, in which the test `name` of this file is alone.
fn in_a_process(name: &str, body: impl FnOnce()) -> Option<Output> {
    const CHILD: &str = "WASMRUN_ARENA_TEST_ALONE";
    if env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("running 1 test"), "no test is called {name}");
    Some(output)
}

fn alone(name: &str, body: impl FnOnce()) {
    if let Some(output) = in_a_process(name, body) {
        assert!(output.status.success(), "{output:?}");
    }
}

/// Address range, permissions and name of every mapping of this process.
fn mappings() -> Vec<(Range<usize>, String, String)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        Some((range, words.next()?.to_owned(), words.skip(3).collect()))
    };
    maps.lines().map(|line| parse(line).unwrap()).collect()
}

fn assert_no_page_is_writable_and_executable() {
    for (range, permissions, name) in mappings() {
        assert!(!(permissions.contains('w') && permissions.contains('x')), "{range:x?} {permissions} {name}");
    }
}

#[test]
fn running_freed_code_traps() {
    let output = in_a_process("running_freed_code_traps", || {
        let arena = Arena::new(1 << 20).unwrap();
        let blob = arena.install(&returns(1), Arc::new(())).unwrap();
        let entry = blob.entry();
        drop(blob);
        // SAFETY: none: this is what must end in a trap.
        unsafe { call(entry) };
    });
    if let Some(output) = output {
        assert_eq!(output.status.signal(), Some(libc::SIGTRAP), "{output:?}");
    }
}

#[test]
fn no_page_is_ever_writable_and_executable() {
    alone("no_page_is_ever_writable_and_executable", || {
        for kind in KINDS {
            let arena = Arena::with_mapping(1 << 20, kind).unwrap();
            assert_no_page_is_writable_and_executable();
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        let blobs: Vec<Blob> =
                            (0..20).map(|i| arena.install(&returns(i), Arc::new(())).unwrap()).collect();
                        assert!((0..).zip(&blobs).all(|(i, blob)| run(blob) == i));
                    }
                });
                let _end = AtEnd(|| done.store(true, Relaxed));
                for _ in 0..200 {
                    assert_no_page_is_writable_and_executable();
                }
            });
            // The views of a dual mapping name the same memory, which has no name in the file system.
            let code = mappings().into_iter().filter(|(.., name)| name.contains("memfd:wasmrun-code"));
            let mut permissions: Vec<String> = code.map(|(_, permissions, _)| permissions).collect();
            permissions.sort();
            match kind {
                MappingKind::Dual => assert_eq!(permissions, ["r-xs", "rw-s"]),
                MappingKind::Protected => assert!(permissions.is_empty()),
            }
        }
    });
}

#[test]
fn churn_leaves_no_mapping_descriptor_or_memory_behind() {
    alone("churn_leaves_no_mapping_descriptor_or_memory_behind", || {
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        for kind in KINDS {
            let (fds, maps) = (descriptors(), mappings().len());
            let arena = Arena::with_mapping(1 << 20, kind).unwrap();
            assert_eq!(descriptors(), fds, "the arena keeps no file open");
            let cycle = |i: u32| {
                let code = loops_and_returns(1, i, i as usize % 500);
                assert_eq!(run(&arena.install(&code, Arc::new(i)).unwrap()), i);
            };
            (0..1000).for_each(cycle);
            let (before, usage) = (mappings().len(), arena.usage());
            (0..100_000).for_each(cycle);
            assert!(mappings().len() <= before, "{:#?}", mappings());
            assert_eq!(descriptors(), fds);
            assert_eq!(arena.usage(), usage);
            assert_eq!(arena.shared.lock().slots.made(), 1, "slots of the index are reused");
            drop(arena);
            assert!(mappings().len() <= maps);

            for i in 0..1000 {
                let arena = Arena::with_mapping(1 << 20, kind).unwrap();
                assert_eq!(run(&arena.install(&returns(i), Arc::new(())).unwrap()), i);
            }
            assert!(mappings().len() <= maps);
            assert_eq!(descriptors(), fds);
        }
    });
}

static SIGNAL_ARENA: AtomicPtr<Arena> = AtomicPtr::new(ptr::null_mut());
static SIGNAL_PC: AtomicUsize = AtomicUsize::new(0);
static SIGNAL_HITS: AtomicUsize = AtomicUsize::new(0);
static SIGNAL_MISSES: AtomicUsize = AtomicUsize::new(0);

/// Looks up an address that is installed throughout, and the interrupted one if that is in the arena.
extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: set before the handler is, and alive as long as it; the context is the kernel's.
    let (arena, context) = unsafe { (&*SIGNAL_ARENA.load(Acquire), &*context.cast::<libc::ucontext_t>()) };
    let pc = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    let steady = arena.lookup(SIGNAL_PC.load(Relaxed));
    // SAFETY: the first stays installed; the second is what this thread is running.
    let right = steady.is_some_and(|found| unsafe { found.meta() }.is::<u32>())
        // SAFETY: as above.
        && (!arena.contains(pc) || arena.lookup(pc).is_some_and(|found| unsafe { found.meta() }.is::<u32>()));
    let counter = if right { &SIGNAL_HITS } else { &SIGNAL_MISSES };
    counter.fetch_add(1, Relaxed);
}

#[test]
fn a_signal_handler_looks_up_while_its_own_thread_installs_frees_and_runs() {
    alone("a_signal_handler_looks_up_while_its_own_thread_installs_frees_and_runs", || {
        let arena = Arena::new(1 << 20).unwrap();
        let steady = arena.install(&returns(1), Arc::new(1_u32)).unwrap();
        SIGNAL_PC.store(steady.entry().addr(), Relaxed);
        SIGNAL_ARENA.store((&raw const arena).cast_mut(), Release);
        // SAFETY: the handler does nothing that is not async-signal-safe; plain data besides.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            assert_eq!(libc::sigaction(libc::SIGPROF, &raw const action, ptr::null_mut()), 0);
            let often = libc::timeval { tv_sec: 0, tv_usec: 100 };
            let timer = libc::itimerval { it_interval: often, it_value: often };
            assert_eq!(libc::setitimer(libc::ITIMER_PROF, &raw const timer, ptr::null_mut()), 0);
        }
        // As long as it takes for a few signals, at arbitrary places in the arena's own code.
        let mut value = 0;
        while SIGNAL_HITS.load(Relaxed) < 100 && SIGNAL_MISSES.load(Relaxed) == 0 {
            value += 1;
            let blob = arena.install(&loops_and_returns(1000, value, 0), Arc::new(value)).unwrap();
            assert_eq!(run(&blob), value);
        }
        assert_eq!(SIGNAL_MISSES.load(Relaxed), 0);
        // SAFETY: plain data; no further signal.
        unsafe {
            let never: libc::itimerval = mem::zeroed();
            libc::setitimer(libc::ITIMER_PROF, &raw const never, ptr::null_mut());
            libc::signal(libc::SIGPROF, libc::SIG_IGN);
        }
    });
}

#[test]
fn a_forked_child_can_neither_install_nor_harm_its_parent() {
    alone("a_forked_child_can_neither_install_nor_harm_its_parent", || {
        for kind in KINDS {
            let arena = Arena::with_mapping(1 << 20, kind).unwrap();
            let locked = arena.clone();
            let blob = arena.install(&returns(6), Arc::new(())).unwrap();
            let entry = blob.entry();
            // As it is when another thread installs code at that moment.
            let held = locked.shared.lock();
            // SAFETY: this process has one thread that matters, and the child ends without destructors.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: a child that waits for the lock is ended by a signal.
                unsafe { libc::alarm(20) };
                let shared = mappings().iter().any(|(range, permissions, _)| {
                    range.contains(&entry.addr()) && permissions.ends_with('s')
                });
                let refused = matches!(arena.install(&returns(7), Arc::new(())), Err(ArenaError::Forked));
                mem::forget(held);
                drop(blob);
                drop(locked);
                drop(arena);
                // SAFETY: ends the child.
                unsafe { libc::_exit(if refused && !shared { 42 } else { 1 }) };
            }
            let mut status = 0;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert!(
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42,
                "{kind:?}: status {status:#x}"
            );
            drop(held);
            assert_eq!((blob.entry(), run(&blob)), (entry, 6));
        }
    });
}

/// Sets the limit that counts, and leaves the one that bounds it.
fn set_limit(resource: libc::__rlimit_resource_t, bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain data.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

#[test]
fn where_the_dual_mapping_is_refused_protection_serves() {
    alone("where_the_dual_mapping_is_refused_protection_serves", || {
        // Asking the system would be a deadly signal here.
        set_limit(libc::RLIMIT_FSIZE, 1 << 20);
        let refused = Arena::with_mapping(1 << 24, MappingKind::Dual);
        assert!(matches!(refused, Err(ArenaError::Refused { kind: MappingKind::Dual, .. })));
        let arena = Arena::new(1 << 24).unwrap();
        assert_eq!(arena.mapping(), MappingKind::Protected);
        assert_eq!(run(&arena.install(&returns(8), Arc::new(())).unwrap()), 8);
    });
}

#[test]
fn where_protections_may_not_change_the_dual_mapping_serves() {
    alone("where_protections_may_not_change_the_dual_mapping_serves", || {
        // SAFETY: forbids this process to make pages executable later; takes plain numbers.
        let hardened = unsafe { libc::prctl(libc::PR_SET_MDWE, 1, 0, 0, 0) } == 0;
        let arena = Arena::new(1 << 20).unwrap();
        assert_eq!(arena.mapping(), MappingKind::Dual);
        assert_eq!(run(&arena.install(&returns(8), Arc::new(())).unwrap()), 8);
        // Linux before 6.3 has no such switch.
        if hardened {
            let refused = Arena::with_mapping(1 << 20, MappingKind::Protected).unwrap_err();
            assert!(matches!(refused, ArenaError::Refused { kind: MappingKind::Protected, .. }), "{refused}");
        }
    });
}

#[test]
fn without_executable_memory_the_error_says_what_was_tried() {
    alone("without_executable_memory_the_error_says_what_was_tried", || {
        set_limit(libc::RLIMIT_AS, 256 << 20);
        let error = Arena::new(1 << 30).unwrap_err();
        assert!(matches!(error, ArenaError::NoExecutableMemory { bytes: 0x4000_0000, .. }));
        let text = error.to_string();
        assert!(
            ["memfd_create", "mprotect", "limit on address space"].iter().all(|word| text.contains(word)),
            "{text}"
        );
        // A smaller one is to be had.
        assert_eq!(run(&Arena::new(1 << 20).unwrap().install(&returns(8), Arc::new(())).unwrap()), 8);
    });
}

#[test]
fn where_addresses_are_few_the_arena_is_smaller_and_leaves_most_of_them_to_others() {
    alone("where_addresses_are_few_the_arena_is_smaller_and_leaves_most_of_them_to_others", || {
        // The limit says what there is at most.
        set_limit(libc::RLIMIT_AS, 4 << 30);
        let arena = Arena::up_to(1 << 30).unwrap();
        assert_eq!((arena.usage().capacity, arena.mapping()), (512 << 20, MappingKind::Dual));
        assert_eq!(Arena::up_to(1 << 16).unwrap().usage().capacity, 1 << 16);
        drop(arena);
        // Whatever else is there counts as well.
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        let taken = pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
        set_limit(libc::RLIMIT_AS, taken + (40 << 20));
        let held: Vec<Arena> = (0..100).map_while(|_| Arena::up_to(1 << 30).ok()).collect();
        let sizes: Vec<usize> = held.iter().map(|arena| arena.usage().capacity).collect();
        assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes[0] > 1 << 20, "{sizes:?}");
        assert_eq!(sizes.last(), Some(&(1 << 20)), "{sizes:?}");
        assert!(held.iter().all(|arena| run(&arena.install(&returns(8), Arc::new(())).unwrap()) == 8));
        let refused = Arena::up_to(1 << 30).unwrap_err();
        assert!(matches!(refused, ArenaError::NoExecutableMemory { bytes: 0x10_0000, .. }), "{refused}");
    });
}

#[test]
fn memory_that_runs_out_behind_reserved_addresses_is_an_error() {
    alone("memory_that_runs_out_behind_reserved_addresses_is_an_error", || {
        let arena = Arena::with_mapping(1 << 24, MappingKind::Protected).unwrap();
        let blob = arena.install(&returns(1), Arc::new(())).unwrap();
        let large = vec![0xC3; 1 << 20];
        // Private pages that become writable count as data.
        set_limit(libc::RLIMIT_DATA, 1);
        let refused = arena.install(&large, Arc::new(()));
        set_limit(libc::RLIMIT_DATA, u64::MAX);
        assert!(matches!(refused, Err(ArenaError::Memory(_))), "{refused:?}");
        assert_eq!(run(&blob), 1);
        let blob = arena.install(&large, Arc::new(())).unwrap();
        assert_eq!(blob.code(), large);
    });
}
