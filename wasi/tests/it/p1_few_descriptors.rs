//! Where the host has few descriptors, guests have few, and nothing else changes. Alone in its process, whose limit it
//! lowers.

use crate::alone::alone;
use crate::common::{Guest, READ, ROOT};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use wasmrun_wasi::abi::{Call, oflags};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Capture, Errno, Output, WasiBuilder};

/// How many descriptors the process may have.
const FEW: u64 = 16;

#[test]
fn with_few_descriptors_of_the_host_guests_run_and_are_told_when_there_are_no_more() {
    alone("with_few_descriptors_of_the_host_guests_run_and_are_told_when_there_are_no_more", || {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "x").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        setrlimit(Resource::Nofile, Rlimit { current: Some(FEW), maximum }).unwrap();

        let output = Capture::default();
        let mut builder = WasiBuilder::new();
        builder
            .stdout(Output::Capture(output.clone()))
            .preopened_dir(dir.path(), "/", Perm::ReadWrite)
            .unwrap();
        let mut guest = Guest::new(builder.build().unwrap());
        assert_eq!(guest.write(1, b"hello"), Ok(5));
        assert_eq!(output.take(), b"hello");

        let mut opened = Vec::new();
        let errno = loop {
            match guest.open("f", 0, READ) {
                Ok(fd) => opened.push(fd),
                Err(errno) => break errno,
            }
            assert!((opened.len() as u64) < FEW);
        };
        assert_eq!(errno, Errno::Mfile);
        assert!(opened.len() >= 4, "{opened:?}");
        File::open("/dev/null").expect("something is left for the host");

        // Nothing is left at all: the guest is told, whatever it tries.
        let held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        guest.close(opened.pop().unwrap()).unwrap();
        let taken = File::open("/dev/null").unwrap();
        for path in ["f", "d/../f", "new"] {
            assert_eq!(guest.open(path, oflags::CREAT, READ), Err(Errno::Mfile), "{path}");
        }
        assert_eq!(guest.readdir(ROOT, 100, 0), Err(Errno::Mfile));
        assert_eq!(guest.stat("d/../f", 0), Err(Errno::Mfile));
        assert_eq!(guest.mkdir("d/e"), Err(Errno::Mfile));
        assert_eq!(guest.read(opened[0], 9), Ok(b"x".to_vec()), "what is open still works");

        // What the host grants takes nothing away from it, however little is left.
        drop((held, taken));
        setrlimit(Resource::Nofile, Rlimit { current: Some(1), maximum }).unwrap();
        let mut builder = WasiBuilder::new();
        builder.stdout(Output::Capture(output.clone())).memfs(&Default::default(), "/", Perm::ReadOnly);
        let mut guest = Guest::new(builder.build().unwrap());
        assert_eq!(guest.write(1, b"hello"), Ok(5));
        let prestat = guest.alloc(8);
        assert_eq!(guest.errno(Call::fd_prestat_get, &[ROOT.into(), prestat.into()]), Ok(()));
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    });
}
