//! `/tmp/jit-PID.dump`: compiled code itself, with names, for Linux `perf`.
//!
//! Where [`perf_map`](super::perf_map) has names alone, this has the instructions too, and when they were installed, so
//! that code whose memory is used again is told apart. `perf record -k mono` notes the file, as it is mapped
//! executable; `perf inject --jit` makes an object file of each record, which `perf annotate` disassembles. The
//! format is that of `jitdump-specification.txt` in the sources of `perf`. Written on request alone.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process;
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Blob;
use super::perf_map::{create, printable};

/// `"JiTD"`, in the machine's own byte order: the reader finds out by it.
const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
/// Bytes of the file's head.
const HEAD: u32 = 40;
/// Bytes of a record before the name.
const LOAD_HEAD: u32 = 56;
/// The kind of record that says that code has been installed.
const LOAD: u32 = 0;
/// What the format calls this machine: as ELF does.
const MACHINE: u32 = 62;

/// An open dump. There is one for each process, as `perf` wants it, whatever the number of arenas.
#[derive(Debug)]
pub struct Jitdump {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Records so far: `perf` names object files by it.
    records: u64,
}

impl Jitdump {
    /// The dump of this process, made at the first call.
    pub fn of_this_process() -> io::Result<&'static Jitdump> {
        static DUMP: OnceLock<io::Result<Jitdump>> = OnceLock::new();
        DUMP.get_or_init(|| Jitdump::create(Path::new(&format!("/tmp/jit-{}.dump", process::id()))))
            .as_ref()
            .map_err(|error| io::Error::new(error.kind(), format!("no dump for perf: {error}")))
    }

    fn create(path: &Path) -> io::Result<Jitdump> {
        let mut file = create(path)?;
        let mut head = Vec::new();
        for word in [MAGIC, VERSION, HEAD, MACHINE, 0, process::id()] {
            head.extend(word.to_ne_bytes());
        }
        // The time, and flags of which there are none.
        head.extend(now().to_ne_bytes());
        head.extend(0_u64.to_ne_bytes());
        file.write_all(&head)?;
        announce(&file)?;
        Ok(Jitdump { state: Mutex::new(State { file, records: 0 }) })
    }

    /// Adds a part of a blob under a name.
    pub fn record(&self, blob: &Blob, part: Range<usize>, name: &str) -> io::Result<()> {
        let start = (blob.addresses().start + part.start) as u64;
        let code = &blob.code()[part];
        let mut text: Vec<u8> = printable(name).collect::<String>().into();
        text.push(0);
        let size = LOAD_HEAD as usize + text.len() + code.len();
        let size_word = u32::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut record = Vec::with_capacity(size);
        // SAFETY: asks for a number.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
        // Nothing panics half-way through a change. The time is taken under the lock: records are in its order.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        record.extend(LOAD.to_ne_bytes());
        record.extend(size_word.to_ne_bytes());
        record.extend(now().to_ne_bytes());
        record.extend(process::id().to_ne_bytes());
        record.extend(thread.to_ne_bytes());
        // Where it runs and where it is are the same.
        for word in [start, start, code.len() as u64, state.records] {
            record.extend(word.to_ne_bytes());
        }
        record.extend(text);
        record.extend(code);
        state.records += 1;
        state.file.write_all(&record)
    }
}

/// Nanoseconds on the clock that `perf record -k mono` uses.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists, and the time is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Maps the file executable, for as long as the process lives: `perf` finds it by that. Nobody uses the mapping.
fn announce(file: &File) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a mapping of its own, which meets nothing.
    let mapped = unsafe {
        let page = region::page::size();
        libc::mmap(ptr::null_mut(), page, protection, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::{env, fs};

    use super::super::Arena;
    use super::*;

    /// Takes a number off the front.
    fn take<const N: usize>(bytes: &mut &[u8]) -> u64 {
        let (number, rest) = bytes.split_at(N);
        *bytes = rest;
        number.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    #[test]
    fn a_dump_has_a_head_and_a_record_for_each_blob() {
        let arena = Arena::new(1 << 20).unwrap();
        let path = env::temp_dir().join(format!("wasmrun-jitdump-test-{}", process::id()));
        fs::write(&path, "left by somebody else").unwrap();
        let before = now();
        let dump = Jitdump::create(&path).unwrap();
        let blobs = [31, 5].map(|len| arena.install(&vec![0xC3; len], Arc::new(())).unwrap());
        for (blob, name) in blobs.iter().zip(["wasm[3]::a\0b", ""]) {
            dump.record(blob, 0..blob.code().len(), name).unwrap();
        }
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mapped = maps.lines().find(|line| line.ends_with(path.to_str().unwrap())).unwrap();
        let file = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(mapped.contains(" r-xp "), "{mapped}");

        let mut rest = &file[..];
        let head = [(); 6].map(|()| take::<4>(&mut rest));
        assert_eq!(head, [0x4a695444, 1, 40, 62, 0, process::id().into()]);
        let mut last = take::<8>(&mut rest);
        assert!((before..=now()).contains(&last));
        assert_eq!(take::<8>(&mut rest), 0);
        for (i, (blob, name)) in blobs.iter().zip(["wasm[3]::a?b\0", "\0"]).enumerate() {
            let size = 56 + name.len() + blob.code().len();
            assert_eq!([(); 2].map(|()| take::<4>(&mut rest)), [0, size as u64]);
            let time = take::<8>(&mut rest);
            assert!((last..=now()).contains(&time));
            last = time;
            assert_eq!(take::<4>(&mut rest), process::id().into());
            assert_ne!(take::<4>(&mut rest), 0);
            let start = blob.addresses().start as u64;
            let words = [(); 4].map(|()| take::<8>(&mut rest));
            assert_eq!(words, [start, start, blob.code().len() as u64, i as u64]);
            assert_eq!(&rest[..name.len()], name.as_bytes());
            assert_eq!(&rest[name.len()..][..blob.code().len()], blob.code());
            rest = &rest[size - 56..];
        }
        assert!(rest.is_empty());
    }
}
