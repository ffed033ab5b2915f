//! Programs in C: what they say, how they end, and what they leave behind.
//!
//! Those that work with files run six times: on three file systems, writable and read-only. What they say is the same on
//! each file system, and written down in `expected`.

use super::world::{Calls, Ended, FILE_SYSTEMS, FileSystem, World, assert_expected, run};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Clocks, Input, Limits, Output, Random, WasiBuilder};

/// Makes tests of functions that run guests, and a list of them.
macro_rules! guests {
    ($($(#[$meta:meta])* fn $name:ident($calls:ident) $body:block)*) => {
        /// Every function below.
        pub const ALL: &[fn(&Calls)] = &[$($name),*];
        $($(#[$meta])* fn $name($calls: &Calls) $body)*
        mod tests {
            use super::super::world::Calls;
            $(#[test] fn $name() { super::$name(&Calls::default()) })*
        }
    };
}
pub(super) use guests;

/// Runs a program in `box` of each file system with both permissions.
fn in_a_box(calls: &Calls, program: &str) {
    for fs in FILE_SYSTEMS {
        for (perm, suffix) in [(Perm::ReadWrite, "rw"), (Perm::ReadOnly, "ro")] {
            let world = World::new(fs);
            let before = world.picture("box");
            let ended =
                run(calls, &format!("{program}.wasm"), |builder| world.grant(builder, "box", "/", perm));
            let name = format!("{program}.{suffix}");
            assert_expected(&name, Some(fs), &format!("{}{}", ended.transcript(), world.tree("box")));
            world.assert_outside_untouched();
            if perm == Perm::ReadOnly {
                assert_eq!(world.picture("box"), before, "{name} on {fs:?} changed what is read-only");
            }
        }
    }
}

fn without_files(calls: &Calls, program: &str, prepare: impl FnOnce(&mut WasiBuilder)) -> Ended {
    run(calls, &format!("{program}.wasm"), prepare)
}

guests! {
    fn files_are_read_and_written_as_posix_says(calls) {
        in_a_box(calls, "data");
    }

    fn names_are_made_moved_and_removed_as_posix_says(calls) {
        in_a_box(calls, "names");
    }

    fn directories_are_listed_whole_also_while_they_are_emptied(calls) {
        in_a_box(calls, "listing");
    }

    fn symbolic_links_that_stay_inside_are_followed(calls) {
        in_a_box(calls, "symlinks");
    }

    fn no_operation_on_any_path_reaches_outside(calls) {
        for fs in FILE_SYSTEMS {
            for (perm, suffix) in [(Perm::ReadWrite, "rw"), (Perm::ReadOnly, "ro")] {
                let world = World::with(fs, &["box/g", "box/d/in"]);
                for (target, link) in [
                    ("@/outfile", "box/abs_file"),
                    ("@/out", "box/abs_dir"),
                    ("@/out/", "box/abs_dir_slash"),
                    ("@/box/g", "box/abs_inside"),
                    ("/", "box/abs_root"),
                    ("@/out/missing", "box/abs_missing"),
                    ("d/back", "box/hop"),
                    ("../../out", "box/d/back"),
                    ("../outfile", "box/rel_file"),
                    ("../out/", "box/rel_dir_slash"),
                    ("../out/missing", "box/rel_missing"),
                ] {
                    world.link(target, link);
                }
                let before = world.picture("box");
                let ended = run(calls, "escape.wasm", |builder| world.grant(builder, "box", "/", perm));
                world.assert_outside_untouched();
                let said = String::from_utf8_lossy(&ended.stdout);
                assert!(!said.contains('!'), "{fs:?} {perm:?}: something outside was found:\n{said}");
                let places = if fs == FileSystem::Memory { "memory" } else { "host" };
                assert_expected(&format!("escape.{places}.{suffix}"), Some(fs), &ended.transcript());
                if perm == Perm::ReadOnly {
                    assert_eq!(world.picture("box"), before, "escape on {fs:?} changed what is read-only");
                }
            }
        }
    }

    fn a_name_that_changes_under_a_guest_never_leads_outside(calls) {
        // In memory, there is nobody else who could change it.
        for fs in [FileSystem::Kernel, FileSystem::Walker] {
            let world = World::with(fs, &["box/flip/secret"]);
            let done = AtomicBool::new(false);
            let ended = thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        world.flip("box/flip", "../out");
                    }
                });
                let ended = run(calls, "race.wasm", |builder| world.grant(builder, "box", "/", Perm::ReadWrite));
                done.store(true, Ordering::SeqCst);
                ended
            });
            let said = "opened + refused + absent: 24000\nfound: 0\n== returned\n";
            assert_eq!(ended.transcript(), said, "{fs:?}");
            world.assert_outside_untouched();
        }
    }

    fn what_is_read_only_stays_so_beside_what_is_writable(calls) {
        for fs in FILE_SYSTEMS {
            let world = World::with(fs, &["ro/f", "ro/d/in", "rw/f", "rw2/f", "r/only_in_r"]);
            for (target, link) in [("f", "ro/to_file"), ("d", "ro/to_dir"), ("nothing", "ro/dangling")] {
                world.link(target, link);
            }
            let before = world.picture("ro");
            let ended = run(calls, "mounts.wasm", |builder| {
                world.grant(builder, "ro", "/ro", Perm::ReadOnly);
                world.grant(builder, "rw", "/rw", Perm::ReadWrite);
                world.grant(builder, "rw2", "/rw2", Perm::ReadWrite);
                world.grant(builder, "r", "/r", Perm::ReadOnly);
            });
            let trees = ["ro", "rw", "rw2", "r"].map(|name| format!("-- {name}\n{}", world.tree(name)));
            assert_expected("mounts", Some(fs), &format!("{}{}", ended.transcript(), trees.concat()));
            assert_eq!(world.picture("ro"), before, "{fs:?}: what is read-only has changed");
            world.assert_outside_untouched();
        }
    }

    fn numbers_without_measure_are_errors(calls) {
        for fs in FILE_SYSTEMS {
            let world = World::new(fs);
            world.link("f", "box/to_file");
            let ended = without_files(calls, "limits", |builder| {
                let mut limits = Limits::default();
                limits.fds = 20;
                builder.limits(limits);
                if fs == FileSystem::Memory {
                    builder.env("FILL", "1");
                }
                world.grant(builder, "box", "/", Perm::ReadWrite);
            });
            let name = if fs == FileSystem::Memory { "limits.memory" } else { "limits.host" };
            assert_expected(name, Some(fs), &format!("{}{}", ended.transcript(), world.tree("box")));
            world.assert_outside_untouched();
        }
    }

    fn the_standard_streams_are_what_the_host_gave(calls) {
        let input: Vec<u8> = (0..100_000_u32).map(|number| number as u8 % 100).collect();
        let mut input = [b"abc".to_vec(), input].concat();
        input.truncate(90_003);
        // Input in memory, and output there.
        let ended = without_files(calls, "stdio", |builder| {
            builder.stdin(Input::Bytes(input.clone()));
        });
        assert_expected("stdio.memory", None, &ended.transcript());
        assert_eq!(ended.stderr, vec![b'b'; 1 << 20]);

        // Files of the host.
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("in"), &input).unwrap();
        let ended = without_files(calls, "stdio", |builder| {
            let file = std::fs::File::create(at("err")).unwrap();
            builder.stdin(std::fs::File::open(at("in")).unwrap()).stderr(file);
        });
        assert_expected("stdio.files", None, &ended.transcript());
        assert_eq!(std::fs::read(at("err")).unwrap(), vec![b'b'; 1 << 20]);

        // Pipes: the guest finds its input empty, says so, and only then is there something to read.
        let (guest_input, mut to_guest) = std::io::pipe().unwrap();
        let (mut from_guest, guest_output) = std::io::pipe().unwrap();
        let host = thread::spawn(move || {
            let mut output = vec![0; 3];
            from_guest.read_exact(&mut output).unwrap();
            assert_eq!(output, b"now");
            to_guest.write_all(&input).unwrap();
            drop(to_guest);
            from_guest.read_to_end(&mut output).unwrap();
            output.len()
        });
        let ended = without_files(calls, "stdio", |builder| {
            builder.args(["stdio", "empty"]);
            builder.stdin(Input::Fd(guest_input.into())).stderr(Output::Fd(guest_output.into()));
        });
        assert_expected("stdio.pipes", None, &ended.transcript());
        assert_eq!(host.join().unwrap(), 3 + (1 << 20));
    }

    fn clocks_go_on_and_sleep_is_long_enough(calls) {
        let ended = without_files(calls, "clocks", |_| {});
        assert_expected("clocks.real", None, &ended.transcript());
        // Where only sleeping moves time, it moves by exactly that.
        let ended = without_files(calls, "clocks", |builder| {
            builder.args(["clocks", "fixed"]).clocks(Clocks::fixed(1_700_000_000_000_000_000));
        });
        assert_expected("clocks.fixed", None, &ended.transcript());
    }

    fn arguments_and_environment_arrive_byte_for_byte(calls) {
        let ended = without_files(calls, "environment", |builder| {
            builder.args(["prog", "", "two words", "--x=y"]).arg(b"\xff\xfe\n".to_vec());
            builder.env("NAME", "value=with=signs").env("EMPTY", "").env("caf\u{e9}", b"\x80".to_vec());
            builder.env("LONG", "l".repeat(1000));
        });
        assert_expected("environment.full", None, &ended.transcript());
        let ended = without_files(calls, "environment", |builder| {
            builder.env("NAME", "n");
        });
        assert_expected("environment.small", None, &ended.transcript());
    }

    fn every_way_to_end_is_the_programs_own(calls) {
        let expected = BTreeMap::from([
            ("return", ("main,second,first,destructor", "returned")),
            ("return 3", ("main,second,first,destructor", "exit 3")),
            ("return 256", ("main,second,first,destructor", "exit 256")),
            ("return -1", ("main,second,first,destructor", "exit -1")),
            ("exit", ("main,second,first,destructor", "exit 4")),
            ("exit deep down", ("main,second,first,destructor", "exit 22")),
            ("exit in atexit", ("main,second", "exit 21")),
            // What is to run at the end is registered after it.
            ("exit in a constructor", ("", "exit 20")),
            ("_Exit", ("main", "exit 5")),
            ("proc_exit", ("main", "exit -559038737")),
            ("abort", ("main", "trap: wasm `unreachable` instruction executed")),
            ("trap", ("main", "trap: wasm `unreachable` instruction executed")),
        ]);
        for (way, (said, how)) in expected {
            let ended = without_files(calls, "exits", |builder| {
                builder.env("WAY", way);
            });
            let lines = String::from_utf8(ended.stdout).unwrap();
            let words = lines.lines().map(|line| match line.split_once(": ").unwrap() {
                ("atexit", which) => which,
                (what, _) => what,
            });
            let words: Vec<&str> = words.collect();
            let said = said.split(',').filter(|word| !word.is_empty());
            let said: Vec<&str> = ["constructor"].into_iter().chain(said).collect();
            assert_eq!((words, &*ended.how), (said, how), "{way}");
        }
    }

    fn random_numbers_differ_and_stay_in_their_buffer(calls) {
        let ended = without_files(calls, "random", |_| {});
        assert_expected("random.host", None, &ended.transcript());
        for _ in 0..2 {
            let ended = without_files(calls, "random", |builder| {
                builder.random(Random::seeded(42)).env("SEEDED", "1");
            });
            assert_expected("random.seeded", None, &ended.transcript());
        }
    }

    fn a_server_serves_on_the_listener_that_it_was_given(calls) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"ping and what follows").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let ended = without_files(calls, "sockets", |builder| {
            builder.tcp_listener(listener);
        });
        assert_expected("sockets", None, &ended.transcript());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"pong!");
    }
}
