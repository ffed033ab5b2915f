//! No number that a guest passes makes the host allocate or copy without a bound; and what calls look like in a trace.

use crate::common::{Guest, ROOT, RW};
use std::io::Write;
use std::sync::{Arc, Mutex};
use wasmrun_wasi::abi::{Call, oflags};
use wasmrun_wasi::caps::explain;
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Capture, Errno, Fault, Limits, Output, WasiBuilder};

fn with_budget(bytes: u64) -> Guest {
    let mut limits = Limits::default();
    limits.bytes_per_call = bytes;
    let mut builder = WasiBuilder::new();
    builder
        .memfs(&MemFs::new(1 << 20), "/", Perm::ReadWrite)
        .limits(limits)
        .args(["a-long-name-of-a-program"]);
    builder.stdout(Output::Capture(Capture::default()));
    Guest::new(builder.build().unwrap())
}

#[test]
fn reads_and_writes_above_the_budget_are_short() {
    let mut guest = with_budget(100);
    let fd = guest.open("f", oflags::CREAT, RW).unwrap();
    assert_eq!(guest.write(fd, &[1; 150]), Ok(100));
    assert_eq!(guest.write(1, &[1; 150]), Ok(100));
    assert_eq!(guest.write(fd, &[1; 150]), Ok(100), "each call has its own budget");
    guest.seek(fd, 0, 0).unwrap();
    assert_eq!(guest.read(fd, 150).unwrap().len(), 100);
    // Across several buffers.
    let (buf, count) = (guest.alloc(300), guest.alloc(4));
    let iovs = guest.iovecs(&[(buf, 60), (buf + 60, 60), (buf + 120, 60)]);
    guest.errno(Call::fd_write, &[fd.into(), iovs.into(), 3, count.into()]).unwrap();
    assert_eq!(guest.u32(count), 100);
}

#[test]
fn what_cannot_be_short_traps_above_the_budget() {
    let mut guest = with_budget(16);
    let message = "copies more than the 16 bytes that one call may";
    let trap = |name: &str| Err(Fault::Trap(format!("{name}: {message}")));
    assert_eq!(guest.call(Call::args_get, &[1024, 2048]), trap("args_get"));
    let path = guest.put(b"a-name-of-more-than-16-bytes");
    let args = [ROOT.into(), path.into(), 28];
    assert_eq!(guest.call(Call::path_create_directory, &args), trap("path_create_directory"));
    assert_eq!(guest.call(Call::poll_oneoff, &[1024, 2048, 1, 4096]), trap("poll_oneoff"));
    assert_eq!(guest.call(Call::fd_readdir, &[ROOT.into(), 1024, 1024, 0, 4096]), trap("fd_readdir"));
}

#[test]
fn a_listing_above_the_budget_traps_before_any_of_it_is_written() {
    // The first of two records, of 25 and 26 bytes, is within the budget.
    let mut guest = with_budget(30);
    let outcome = guest.call(Call::fd_readdir, &[ROOT.into(), 8192, 31, 0, 4096]);
    assert!(matches!(outcome, Err(Fault::Trap(_))), "{outcome:?}");
    assert_eq!(guest.bytes(8192, 31), [0; 31]);
    guest.errno(Call::fd_readdir, &[ROOT.into(), 8192, 30, 0, 4096]).unwrap();
    assert_eq!(guest.u32(4096), 30);
}

#[test]
fn the_largest_numbers_everywhere_end_in_an_errno_or_a_trap() {
    // Every function with every parameter at its largest, and one after the other: nothing may panic, hang or allocate.
    let mut guest = Guest::with_memfs();
    guest.create("f", b"abc");
    let fd = guest.open("f", 0, RW).unwrap();
    for call in Call::ALL {
        if call == Call::proc_exit {
            continue;
        }
        let count = call.function().params.len();
        for first in [0, 1, ROOT, fd, u32::MAX] {
            for small in [0, 1, 8, 1 << 16, 1 << 31, u64::from(u32::MAX), u64::MAX, 1 << 63] {
                for huge in 0..count {
                    let mut args = vec![small; count];
                    args[huge] = u64::MAX;
                    if huge > 0 {
                        args[0] = first.into();
                    }
                    // These close what the others need, or wait for what does not come.
                    if matches!(call, Call::fd_close | Call::fd_renumber | Call::poll_oneoff) {
                        continue;
                    }
                    if let Ok(()) | Err(Fault::Errno(_) | Fault::Trap(_)) = guest.call(call, &args) {
                        continue;
                    }
                    panic!("{call:?} {args:?}");
                }
            }
        }
    }
    assert_eq!(guest.stat("f", 0).map(|stat| stat.nlink), Ok(1));
}

#[test]
fn a_captured_output_is_bounded() {
    let capture = Capture::new(10);
    let mut guest = Guest::new(WasiBuilder::new().stderr(Output::Capture(capture.clone())).build().unwrap());
    assert_eq!(guest.write(2, &[b'x'; 100]), Ok(10));
    assert_eq!(guest.write(2, b"x"), Err(Errno::Nospc));
    assert_eq!(capture.contents(), [b'x'; 10]);
}

/// A writer whose text can be looked at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_trace_has_a_line_for_each_call_with_names_and_results() {
    let trace = Shared::default();
    let mut builder = WasiBuilder::new();
    builder.memfs(&MemFs::new(1 << 16), "/", Perm::ReadWrite).trace(trace.clone());
    let mut guest = Guest::new(builder.build().unwrap());
    let fd = guest.open("a\n", oflags::CREAT | oflags::TRUNC, RW).unwrap();
    guest.write(fd, b"some text that is longer than what is shown").unwrap();
    guest.seek(fd, -3, 1).unwrap();
    guest.read(fd, 7).unwrap();
    guest.stat("missing", 1).unwrap_err();
    guest.call(Call::fd_tell, &[fd.into(), 0xffff_fff0]).unwrap_err();
    guest.call(Call::proc_exit, &[3]).unwrap_err();
    let text = String::from_utf8(trace.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().map(|line| line.rsplit_once(" <").expect("an elapsed time").0).collect();
    assert_eq!(
        lines,
        [
            r#"path_open(3, 0, "a\n", CREAT|TRUNC, FD_READ|FD_WRITE, FD_READ|FD_WRITE, 0) = 4"#,
            r#"fd_write(4, "some text that is longer than wh"...) = 43"#,
            "fd_seek(4, -3, CUR) = 40",
            "fd_read(4, [1]) = 3",
            r#"path_filestat_get(3, SYMLINK_FOLLOW, "missing") = ENOENT"#,
            "fd_tell(4) = trap: offset 0xfffffff0+8 outside 2 pages",
            "proc_exit(3) = ?",
        ]
    );
}

#[test]
fn tracing_survives_pointers_that_do_not_fit() {
    let trace = Shared::default();
    let mut guest = Guest::new(WasiBuilder::new().trace(trace.clone()).build().unwrap());
    for call in Call::ALL {
        let args = vec![u64::MAX; call.function().params.len()];
        let _ = guest.call(call, &args);
    }
    let text = String::from_utf8(trace.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 46);
}

#[test]
fn a_report_says_what_is_granted_and_holds_imports_against_it() {
    let mut builder = WasiBuilder::new();
    let fs = MemFs::new(1024);
    builder.args(["prog"]).env("B", "secret").env("A", "x").memfs(&fs, "/data", Perm::ReadOnly);
    let ctx = builder.build().unwrap();
    let report = ctx.report();
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["env"], serde_json::json!(["A", "B"]));
    assert_eq!(json["dirs"][0]["guest"], "/data");
    assert_eq!(json["dirs"][0]["writable"], false);
    assert!(!json.to_string().contains("secret"), "names of variables, never values");
    assert!(report.to_string().contains("directory 3: /data <- - (memory, read only)"));
    let p1 = "wasi_snapshot_preview1";
    let imports = [(p1, "path_open"), (p1, "path_unlink_file"), (p1, "sock_accept"), (p1, "sock_open")];
    let explained = explain(imports, report);
    assert_eq!(
        explained.iter().map(|import| import.granted).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    assert!(explained[3].hint.unwrap().contains("WasmEdge"));
    assert_eq!(serde_json::to_value(&explained[1]).unwrap()["class"], "fs-write");
}
