//! Modules in the text format: what no C library calls, pointers and lists that do not fit, and exits that something
//! tries to catch.
//!
//! A module is made of imports, from the table of functions, of a memory, and of a body that notes numbers with `$note`:
//! four bytes each on standard output.

use super::programs::guests;
use super::world::{Calls, FILE_SYSTEMS, FileSystem, World, assert_expected, run, run_untraced};
use std::fmt::Write;
use std::sync::LazyLock;
use wasmrun::{Engine, Linker, Module, Store, Val};
use wasmrun_wasi::abi::{Call, Kind, Layout, PREVIEW0, PREVIEW1, Preview, Type};
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Mount, Perm};
use wasmrun_wasi::{Clocks, Errno, Fault, Limits, WasiBuilder, WasiCtx, add_to_linker};

/// The imports of all functions of a preview, by their names.
fn imports(preview: &Preview) -> String {
    let mut text = String::new();
    for call in Call::ALL {
        let function = call.function();
        if !function.in_preview0 && std::ptr::eq(preview, &PREVIEW0) {
            continue;
        }
        let types: Vec<&str> =
            function.params.iter().map(|param| if param.ty == Type::I32 { "i32" } else { "i64" }).collect();
        let result = if function.returns { "(result i32)" } else { "" };
        let (module, name, types) = (preview.module, function.name, types.join(" "));
        writeln!(text, r#"(import "{module}" "{name}" (func ${name} (param {types}) {result}))"#).unwrap();
    }
    text
}

/// A module of a preview around a body.
fn around(preview: &Preview, body: &str) -> String {
    let imports = imports(preview);
    format!(
        r#"(module {imports}
           (memory (export "memory") 1)
           (func $note (param i32)
             (i32.store (i32.const 61440) (i32.const 61448))
             (i32.store (i32.const 61444) (i32.const 4))
             (i32.store (i32.const 61448) (local.get 0))
             (if (call $fd_write (i32.const 1) (i32.const 61440) (i32.const 1) (i32.const 61452))
               (then unreachable)))
           {body})"#
    )
}

/// The numbers that a guest has noted.
fn noted(stdout: &[u8]) -> Vec<u32> {
    stdout.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// What a body without branches notes, each with the text of what was noted.
fn annotated(body: &str, stdout: &[u8]) -> String {
    let mut transcript = String::new();
    let sources = body.match_indices("(call $note ").map(|(at, start)| {
        let text = &body[at + start.len()..];
        let mut depth = 1;
        let end = text.find(|letter| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            depth == 0
        });
        text[..end.unwrap()].split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let (sources, numbers): (Vec<String>, _) = (sources.collect(), noted(stdout));
    for (source, number) in sources.iter().zip(&numbers) {
        let errno = Errno::from_code(*number as u16)
            .filter(|_| source.starts_with("(call $") && !source.contains("$open"));
        let value = errno.map_or(number.to_string(), |errno| errno.name().to_owned());
        writeln!(transcript, "{source}: {value}").unwrap();
    }
    assert_eq!(sources.len(), numbers.len(), "numbers after:\n{transcript}");
    transcript
}

/// An event as `poll.wat` notes it: user data, errno, type, bytes, flags.
type Event = [u32; 5];

guests! {
    fn functions_that_no_library_calls_do_what_they_say(calls) {
        let body = include_str!("descriptors.wat");
        for fs in FILE_SYSTEMS {
            let world = World::new(fs);
            let ended = run(calls, &around(&PREVIEW1, body), |builder| {
                world.grant(builder, "box", "/", Perm::ReadWrite);
            });
            assert_eq!(ended.how, "returned", "{fs:?}");
            let transcript = annotated(body, &ended.stdout);
            assert_expected("descriptors", Some(fs), &format!("{transcript}{}", world.tree("box")));
            world.assert_outside_untouched();
        }
    }

    fn waiting_gives_an_event_for_what_happened_and_no_other(calls) {
        let expected: &[(Errno, &[Event])] = &[
            (Errno::Inval, &[]),
            // Timers.
            (Errno::Success, &[[101, 0, 0, 0, 0]]),
            (Errno::Success, &[[100, 0, 0, 0, 0], [101, 0, 0, 0, 0]]),
            (Errno::Success, &[[100, 0, 0, 0, 0]]),
            (Errno::Success, &[[100, 0, 0, 0, 0]]),
            // What there is not.
            (Errno::Inval, &[]),
            (Errno::Inval, &[]),
            (Errno::Inval, &[]),
            (Errno::Inval, &[]),
            (Errno::Inval, &[]),
            // A file of ten bytes at its beginning, and at its end.
            (Errno::Success, &[[100, 0, 1, 10, 0], [101, 0, 2, 1, 0]]),
            (Errno::Success, &[[100, 0, 1, 0, 1]]),
            // Output and a timer.
            (Errno::Success, &[[100, 0, 2, 1, 0], [101, 0, 0, 0, 0]]),
            // A directory, and streams in the wrong direction; a number that is not open.
            (
                Errno::Success,
                &[
                    [100, Errno::Notsup as u32, 1, 0, 0],
                    [101, Errno::Badf as u32, 1, 0, 0],
                    [102, Errno::Badf as u32, 2, 0, 0],
                ],
            ),
            (Errno::Badf, &[]),
            // The end of input.
            (Errno::Success, &[[100, 0, 1, 0, 1]]),
        ];
        // Milliseconds after these polls.
        let clock = [(1, 5), (2, 7), (3, 7), (4, 20), (11, 20)];
        let mut numbers = vec![0, 0];
        for (index, (errno, events)) in expected.iter().enumerate() {
            numbers.extend([*errno as u32, events.len() as u32]);
            numbers.extend(events.as_flattened());
            if index == 10 {
                // The seek to the end.
                numbers.push(0);
            }
            numbers.extend(clock.iter().filter(|(after, _)| *after == index).map(|(_, time)| time));
        }
        // Two events over their subscriptions.
        numbers.extend([0, 2, 100, 101]);
        for fs in FILE_SYSTEMS {
            let world = World::new(fs);
            let ended = run(calls, &around(&PREVIEW1, include_str!("poll.wat")), |builder| {
                builder.clocks(Clocks::fixed(1_700_000_000_000_000_000));
                world.grant(builder, "box", "/", Perm::ReadWrite);
            });
            assert_eq!((ended.how.as_str(), noted(&ended.stdout)), ("returned", numbers.clone()), "{fs:?}");
        }
    }

    fn the_older_preview_has_its_own_layouts(_calls) {
        let body = include_str!("unstable.wat");
        for fs in FILE_SYSTEMS {
            let world = World::new(fs);
            let ended = run_untraced(&around(&PREVIEW0, body), |builder| {
                builder.clocks(Clocks::fixed(1_700_000_000_000_000_000));
                world.grant(builder, "box", "/", Perm::ReadWrite);
            });
            assert_eq!(ended.how, "returned", "{fs:?}");
            assert_expected("unstable", Some(fs), &annotated(body, &ended.stdout));
        }
    }

    fn nothing_moves_between_directories_that_grant_different_things(calls) {
        // Both are writable, but hard links may be made in only one: what has moved there could be linked there.
        for fs in FILE_SYSTEMS {
            for (hard_links, moved) in [(false, Errno::Perm), (true, Errno::Success)] {
                let world = World::with(fs, &["rw/f", "rw/g", "rw2/f"]);
                let body = r#"
                    (data (i32.const 0) "f") (data (i32.const 8) "g") (data (i32.const 16) "h")
                    (func (export "_start")
                      (call $note (call $path_link (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1)
                        (i32.const 4) (i32.const 8) (i32.const 1)))
                      (call $note (call $path_rename (i32.const 3) (i32.const 0) (i32.const 1)
                        (i32.const 4) (i32.const 0) (i32.const 1)))
                      (call $note (call $path_rename (i32.const 4) (i32.const 0) (i32.const 1)
                        (i32.const 3) (i32.const 16) (i32.const 1)))
                      (call $note (call $path_link (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 1)
                        (i32.const 4) (i32.const 16) (i32.const 1))))"#;
                let ended = run(calls, &around(&PREVIEW1, body), |builder| {
                    let mount = Mount::new(world.dir("rw"), Perm::ReadWrite);
                    builder.mount(mount, "/rw");
                    let mount = Mount::new(world.dir("rw2"), Perm::ReadWrite);
                    builder.mount(mount.allow_hard_links(hard_links), "/rw2");
                });
                // With the same for both, all succeed; the last finds nothing, since its file has moved on.
                let last = if hard_links { Errno::Noent } else { Errno::Perm };
                let expected = [moved, moved, moved, last].map(|errno| errno as u32);
                assert_eq!(noted(&ended.stdout), expected, "{fs:?}");
                assert_eq!(ended.how, "returned");
            }
        }
    }

    fn exits_are_not_caught_and_nothing_runs_after_them(calls) {
        let note = "(call $note (i32.const 1))";
        for (body, how) in [
            // Out of a call by reference, out of a loop, and while the module starts.
            (
                "(table funcref (elem $leave)) (type $none (func))
                 (func $leave (call $proc_exit (i32.const 5)) (call $note (i32.const 2)))
                 (func (export \"_start\") NOTE (call_indirect (type $none) (i32.const 0)) NOTE)",
                "exit 5",
            ),
            (
                "(func (export \"_start\") NOTE
                   (loop $again (call $proc_exit (i32.const 0)) (br $again)))",
                "exit 0",
            ),
            (
                "(func $first NOTE (call $proc_exit (i32.const 9)) NOTE) (start $first)
                 (func (export \"_start\") NOTE)",
                "exit 9",
            ),
        ] {
            let ended = run(calls, &around(&PREVIEW1, &body.replace("NOTE", note)), |_| {});
            assert_eq!((ended.how.as_str(), noted(&ended.stdout)), (how, vec![1]), "{body}");
        }
    }

    fn exits_and_traps_are_not_caught_by_handlers_for_everything(calls) {
        for (body, how) in [
            (
                r#"(func $inner
                     (block $caught
                       (try_table (catch_all $caught) (call $proc_exit (i32.const 3))) (return))
                     (call $note (i32.const 2)))
                   (func (export "_start") (call $note (i32.const 1))
                     (block $caught (try_table (catch_all $caught) (call $inner)) (return))
                     (call $note (i32.const 3)))"#,
                "exit 3",
            ),
            (
                r#"(func (export "_start") (call $note (i32.const 1))
                     (block $caught
                       (try_table (catch_all $caught)
                         (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const -1)))) (return))
                     (call $note (i32.const 2)))"#,
                "trap: clock_time_get: time 0xffffffff+8 outside 1 pages",
            ),
        ] {
            let text = around(&PREVIEW1, body);
            // Nothing can catch in an engine that does not execute handlers.
            if let Err(error) = Module::new(&Engine::default(), &text) {
                assert!(error.to_string().contains("does not execute yet"), "{error}");
                continue;
            }
            let ended = run(calls, &text, |_| {});
            assert_eq!((ended.how.as_str(), noted(&ended.stdout)), (how, vec![1]), "{body}");
        }
    }

    fn a_call_that_copies_too_much_ends_the_guest_and_nothing_else(calls) {
        let world = World::new(FileSystem::Memory);
        // Half of what one call may: short. More than that for what cannot be short: a trap.
        let body = r#"
            (data (i32.const 64) "\00\10\00\00\00\20\00\00")
            (func (export "_start")
              (call $note (call $fd_write (i32.const 2) (i32.const 64) (i32.const 1) (i32.const 104)))
              (call $note (i32.load (i32.const 104)))
              (call $note (call $random_get (i32.const 0) (i32.const 5000)))
              (drop (call $fd_readdir (i32.const 3) (i32.const 4096) (i32.const 8192) (i64.const 0) (i32.const 104)))
              (drop (call $poll_oneoff (i32.const 0) (i32.const 8192) (i32.const 100) (i32.const 104)))
              (call $note (i32.const 0)))"#;
        let ended = run(calls, &around(&PREVIEW1, body), |builder| {
            let mut limits = Limits::default();
            (limits.bytes_per_call, limits.random_bytes) = (4096, 4096);
            builder.limits(limits);
            world.grant(builder, "box", "/", Perm::ReadWrite);
        });
        assert_eq!(ended.stderr.len(), 4096);
        assert_eq!(noted(&ended.stdout), [0, 4096, Errno::Inval as u32]);
        assert!(ended.how.ends_with("copies more than the 4096 bytes that one call may"), "{}", ended.how);
    }
}

/// A module that exports every function as it is, under its own name: a guest that does what the host says.
fn puppet() -> (Engine, Module) {
    let engine = Engine::default();
    let mut body = String::new();
    for call in Call::ALL.into_iter().filter(|&call| call != Call::proc_exit) {
        let function = call.function();
        write!(body, r#"(func (export "{}") (result i32)"#, function.name).unwrap();
        let at = body.len() - "(result i32)".len();
        let types = function.params.iter().map(|param| if param.ty == Type::I32 { " i32" } else { " i64" });
        body.insert_str(at, &format!("(param{})", types.collect::<String>()));
        let args = (0..function.params.len()).map(|index| format!("(local.get {index})"));
        writeln!(body, "(call ${} {}))", function.name, args.collect::<String>()).unwrap();
    }
    let module = Module::new(&engine, around(&PREVIEW1, &body)).unwrap();
    (engine, module)
}

/// How a call ended that gives one of its pointers a value and everything else a harmless one: nothing that could fail
/// before the pointers are looked at.
fn attack(
    strict: bool,
    call: Call,
    under_attack: usize,
    address: u32,
    len: Option<u32>,
) -> Result<i32, Fault> {
    static PUPPET: LazyLock<(Engine, Module)> = LazyLock::new(puppet);
    let (engine, module) = &*PUPPET;
    let params = call.function().params.iter().enumerate();
    let args = params.map(|(index, param)| {
        let value = match (param.kind, len) {
            _ if index == under_attack => address,
            (_, Some(len)) if index == under_attack + 1 => len,
            // The directory.
            (Kind::Fd, _) => 3,
            (Kind::Count | Kind::Len, _) => 1,
            (kind, _) if kind.is_pointer() => 1024 + 256 * index as u32,
            _ => 0,
        };
        if param.ty == Type::I32 { Val::I32(value as i32) } else { Val::I64(value.into()) }
    });
    let mut linker = Linker::<WasiCtx>::new(engine);
    add_to_linker(&mut linker, |ctx| ctx).unwrap();
    let fs = MemFs::new(1 << 16);
    fs.write("a", b"content").unwrap();
    let mut builder = WasiBuilder::new();
    builder.args(["name"]).env("name", "value").strict(strict).memfs(&fs, "/", Perm::ReadWrite);
    let mut store = Store::new(engine, builder.build().unwrap());
    let instance = linker.instantiate(&mut store, module).unwrap();
    let function = instance.get_func(&mut store, call.function().name).unwrap();
    let mut result = [Val::I32(-1)];
    let outcome = function.call(&mut store, &args.collect::<Vec<_>>(), &mut result);
    assert_eq!(fs.root().entries(1 << 16).unwrap().len(), 3, "{call:?}: something was done first");
    match (outcome, &result[0]) {
        (Ok(()), Val::I32(errno)) => Ok(*errno),
        (Ok(()), other) => panic!("{call:?} gave {other:?}"),
        (Err(error), _) => Err(error.downcast_ref::<Fault>().expect("a fault").clone()),
    }
}

/// Every pointer of every function, with its place among the parameters.
fn pointers() -> impl Iterator<Item = (Call, usize, Kind)> {
    Call::ALL.into_iter().flat_map(|call| {
        let params = call.function().params.iter().enumerate();
        params
            .filter(|(_, param)| param.kind.is_pointer())
            .map(move |(index, param)| (call, index, param.kind))
    })
}

#[test]
fn every_pointer_outside_of_memory_is_a_trap_that_names_it() {
    for (call, index, kind) in pointers() {
        let (name, param) = (call.function().name, call.function().params[index].name.trim_end_matches('_'));
        // One byte too far; at the end of all addresses; beyond them, by a length that wraps around.
        let lens: &[Option<u32>] = if matches!(kind, Kind::Path | Kind::OutBuf) {
            &[Some(2), Some(1 << 17), Some(u32::MAX)]
        } else {
            &[None]
        };
        for &len in lens {
            for address in [65535, 65536, u32::MAX - 1] {
                match attack(false, call, index, address, len) {
                    Err(Fault::Trap(message)) => assert!(
                        message.starts_with(&format!("{name}: {param} ")),
                        "{name}: {param} at {address:#x}: {message}"
                    ),
                    other => panic!("{name}: {param} at {address:#x}+{len:?}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn every_pointer_that_is_not_aligned_is_a_trap_only_if_that_is_asked_for() {
    for (call, index, kind) in pointers() {
        let layout = |layout: Layout| layout.align > 1;
        let aligned = match kind {
            Kind::Out(of) => layout(of),
            Kind::Iovs | Kind::Ciovs | Kind::Subscriptions | Kind::Events => true,
            // Of the two areas for strings, the first holds pointers.
            Kind::OutHostSized => index == 0,
            _ => false,
        };
        let name = call.function().name;
        let strict = attack(true, call, index, 2049, None);
        let trapped = matches!(&strict, Err(Fault::Trap(message)) if message.contains("is not aligned to"));
        assert_eq!(trapped, aligned, "{name}, pointer {index}: {strict:?}");
        let lax = attack(false, call, index, 2049, None);
        assert!(lax.is_ok(), "{name}, pointer {index}: {lax:?}");
    }
}

#[test]
fn a_buffer_of_no_bytes_may_be_anywhere() {
    for (call, index, kind) in pointers() {
        if matches!(kind, Kind::Path | Kind::OutBuf | Kind::Iovs | Kind::Ciovs) {
            let name = call.function().name;
            for address in [0, 65536, u32::MAX] {
                let result = attack(false, call, index, address, Some(0));
                assert!(result.is_ok(), "{name}, pointer {index} at {address:#x}: {result:?}");
            }
        }
    }
}
