//! Where guests run: three file systems with something outside that must not change, the engine, and a record of the
//! calls that were made.
//!
//! A [`World`] is a directory `box` to be granted, beside others that are not. What a guest leaves in it is read by the
//! host's own means ([`World::tree`]), not by the code under test.

use super::world::FileSystem::{Kernel, Memory, Walker};
use crate::vfs_common::host_picture;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::{fs, io, thread};
use wasmrun::{Engine, I32Exit, Linker, Module, Store};
use wasmrun_wasi::vfs::host::{HostDir, HostOptions, ResolverChoice};
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Dir, FileKind, GuestPath, Mount, OpenHow, Opened, Perm};
use wasmrun_wasi::{Capture, Output, WasiBuilder, WasiCtx, add_to_linker};

/// What is in every file that no guest may see or change.
pub const CANARY: &str = "canary: nobody may read this";

/// What a granted directory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// A directory of the host, with the kernel following paths where it can.
    Kernel,
    /// A directory of the host, with paths followed step by step.
    Walker,
    /// A tree in memory.
    Memory,
}

/// All of them.
pub const FILE_SYSTEMS: [FileSystem; 3] = [Kernel, Walker, Memory];

/// Which functions of preview 1 were called, and which of them with success.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<String, bool>>>);

impl Calls {
    pub fn were_made(&self, name: &str) -> bool {
        self.0.lock().unwrap().contains_key(name)
    }

    pub fn have_succeeded(&self, name: &str) -> bool {
        self.0.lock().unwrap().get(name).copied().unwrap_or(false)
    }
}

/// Reads the lines of a trace, which come whole: `name(arguments) = result <time>`.
impl Write for Calls {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let name = text.split('(').next().unwrap();
        let result = text.rsplit(") = ").next().unwrap();
        let succeeded = result.starts_with(|first: char| first.is_ascii_digit());
        *self.0.lock().unwrap().entry(name.to_owned()).or_insert(false) |= succeeded;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Directories of one file system, and of the host what surrounds them.
pub struct World {
    pub fs: FileSystem,
    base: tempfile::TempDir,
    memory: MemFs,
    outside: BTreeMap<String, String>,
}

/// The only entries of a world that are granted; everything else is outside.
const GRANTED: [&str; 5] = ["box", "ro", "rw", "rw2", "r"];

impl World {
    /// A world with `box` in it, which has a file, a directory and a file in that.
    pub fn new(fs: FileSystem) -> World {
        World::with(fs, &["box/f", "box/d/in"])
    }

    /// A world with these files, each of them with the same content.
    pub fn with(fs: FileSystem, files: &[&str]) -> World {
        let base = tempfile::tempdir().unwrap();
        let memory = MemFs::new(1 << 20);
        for file in files {
            let at = base.path().join(file);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, "0123456789").unwrap();
            memory.write(file, b"0123456789").unwrap();
        }
        for file in ["outfile", "out/secret", "out/sub/secret", "boxX/secret", "rwX/f", "rX/only_in_r"] {
            let at = base.path().join(file);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, CANARY).unwrap();
        }
        let mut world = World { fs, base, memory, outside: BTreeMap::new() };
        world.outside = world.outside();
        world
    }

    /// Makes a symbolic link of the host, with `@` in its target for the directory around everything. In memory there is
    /// no host: a link that a guest could not make is left out.
    pub fn link(&self, target: &str, at: &str) {
        let base = self.base.path();
        symlink(target.replace('@', base.to_str().unwrap()), base.join(at)).unwrap();
        if !target.starts_with(['/', '@']) {
            self.memory.root().symlink(target.as_bytes(), &path(at)).unwrap();
        }
    }

    /// Puts a symbolic link of the host where a directory is, and the directory back.
    pub fn flip(&self, name: &str, target: &str) {
        let at = self.base.path().join(name);
        let aside = at.with_added_extension("aside");
        fs::rename(&at, &aside).unwrap();
        symlink(target, &at).unwrap();
        thread::yield_now();
        fs::remove_file(&at).unwrap();
        fs::rename(&aside, &at).unwrap();
        thread::yield_now();
    }

    /// A directory to grant.
    pub fn dir(&self, name: &str) -> Arc<dyn Dir> {
        let resolver = match self.fs {
            Kernel => ResolverChoice::Best,
            Walker => ResolverChoice::Walker,
            Memory => {
                let how = OpenHow { directory: true, ..OpenHow::default() };
                let Ok(Opened::Dir(dir)) = self.memory.root().open(&path(name), &how) else {
                    panic!("no directory {name}")
                };
                return dir;
            }
        };
        let options = HostOptions { resolver, ..HostOptions::default() };
        Arc::new(HostDir::open_ambient(&self.base.path().join(name), options).unwrap())
    }

    /// Grants a directory.
    pub fn grant(&self, builder: &mut WasiBuilder, name: &str, guest: &str, perm: Perm) {
        builder.mount(Mount::new(self.dir(name), perm), guest);
    }

    /// What is in a directory now, a line for each entry. Numbers of names of directories are the host's own affair.
    pub fn tree(&self, name: &str) -> String {
        let mut lines = Vec::new();
        match self.fs {
            Memory => memory_tree(&self.dir(name), "", &mut lines),
            _ => host_tree(&self.base.path().join(name), "", &mut lines),
        }
        lines.sort();
        lines.concat()
    }

    /// Contents, attributes and times of change of everything that is granted, for what must stay as it is.
    pub fn picture(&self, name: &str) -> BTreeMap<String, String> {
        match self.fs {
            Memory => BTreeMap::from([(name.to_owned(), self.tree(name))]),
            _ => host_picture(&self.base.path().join(name)),
        }
    }

    fn outside(&self) -> BTreeMap<String, String> {
        let mut outside = BTreeMap::new();
        for entry in fs::read_dir(self.base.path()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if !GRANTED.contains(&&*name) {
                let picture = host_picture(&entry.path()).into_iter();
                outside.extend(picture.map(|(path, what)| (format!("{name}/{path}"), what)));
            }
        }
        outside
    }

    /// Everything outside is as it was, times of change included.
    pub fn assert_outside_untouched(&self) {
        assert_eq!(self.outside(), self.outside, "{:?}: something outside has changed", self.fs);
    }
}

/// A path that is well-formed.
pub fn path(text: &str) -> GuestPath {
    GuestPath::new(text.as_bytes()).unwrap()
}

fn host_tree(dir: &Path, prefix: &str, lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().display());
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        if meta.is_dir() {
            lines.push(format!("{name}/\n"));
            host_tree(&entry.path(), &format!("{name}/"), lines);
        } else if meta.is_symlink() {
            lines.push(format!("{name} -> {}\n", fs::read_link(entry.path()).unwrap().display()));
        } else {
            lines.push(file_line(&name, meta.nlink(), &fs::read(entry.path()).unwrap()));
        }
    }
}

fn memory_tree(dir: &Arc<dyn Dir>, prefix: &str, lines: &mut Vec<String>) {
    for entry in dir.entries(1 << 20).unwrap().into_iter().skip(2) {
        let text = String::from_utf8(entry.name).unwrap();
        let name = format!("{prefix}{text}");
        let opened = || dir.open(&path(&text), &OpenHow { read: true, ..OpenHow::default() }).unwrap();
        match entry.kind {
            FileKind::Directory => {
                lines.push(format!("{name}/\n"));
                let Opened::Dir(below) = opened() else { panic!("{name}") };
                memory_tree(&below, &format!("{name}/"), lines);
            }
            FileKind::Symlink => {
                let target = dir.read_link(&path(&text)).unwrap();
                lines.push(format!("{name} -> {}\n", target.escape_ascii()));
            }
            _ => {
                let Opened::File(file) = opened() else { panic!("{name}") };
                let stat = file.stat().unwrap();
                let mut data = vec![0; stat.size as usize];
                file.read_at(&mut [io::IoSliceMut::new(&mut data)], 0).unwrap();
                lines.push(file_line(&name, stat.nlink, &data));
            }
        }
    }
}

fn file_line(name: &str, nlink: u64, data: &[u8]) -> String {
    let names = if nlink == 1 { String::new() } else { format!(", {nlink} names") };
    format!("{name}: {} bytes{names}: {}\n", data.len(), data[..data.len().min(64)].escape_ascii())
}

/// What became of a guest: what it said, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Empty if it returned, `exit` and the code, or `trap` and the reason.
    pub how: String,
}

impl Ended {
    /// Output and end, for people and for comparison.
    pub fn transcript(&self) -> String {
        let stdout = std::str::from_utf8(&self.stdout).expect("output that is text");
        format!("{stdout}== {}\n", self.how)
    }
}

/// The engine of all guests.
static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// Bytes of a guest program in `guests/`, or the text of a module, made ready to run. Programs are made ready once.
pub fn module(program: &str) -> Module {
    static READY: Mutex<BTreeMap<String, Module>> = Mutex::new(BTreeMap::new());
    let load = || {
        let bytes = match program.strip_suffix(".wasm") {
            Some(_) => fs::read(guests().join(program)).unwrap(),
            None => program.as_bytes().to_vec(),
        };
        Module::new(&ENGINE, bytes).unwrap()
    };
    READY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(program.to_owned())
        .or_insert_with(load)
        .clone()
}

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/guests")
}

/// Runs a guest of preview 1 with whatever `prepare` grants, and records its calls.
pub fn run(calls: &Calls, program: &str, prepare: impl FnOnce(&mut WasiBuilder)) -> Ended {
    run_untraced(program, |builder| {
        builder.trace(calls.clone());
        prepare(builder);
    })
}

/// As [`run`], without a record.
pub fn run_untraced(program: &str, prepare: impl FnOnce(&mut WasiBuilder)) -> Ended {
    let (stdout, stderr) = (Capture::default(), Capture::default());
    let mut builder = WasiBuilder::new();
    builder.stdout(Output::Capture(stdout.clone())).stderr(Output::Capture(stderr.clone()));
    prepare(&mut builder);
    let how = end(&module(program), builder.build().unwrap());
    Ended { stdout: stdout.contents(), stderr: stderr.contents(), how }
}

fn end(module: &Module, ctx: WasiCtx) -> String {
    let mut linker = Linker::<WasiCtx>::new(&ENGINE);
    add_to_linker(&mut linker, |ctx| ctx).unwrap();
    let mut store = Store::new(&ENGINE, ctx);
    let result = linker
        .instantiate(&mut store, module)
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ()));
    match result {
        Ok(()) => "returned".to_owned(),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => format!("exit {code}"),
            None => format!("trap: {}", error.root_cause()),
        },
    }
}

/// Compares with what is written down, or writes it down if `WASMRUN_BLESS=1` is in the environment.
///
/// What is written down is what Linux does, and what trees in memory do everywhere. Other hosts have other errors for
/// the same faults: with their directories, only what is asserted beside this counts.
pub fn assert_expected(name: &str, fs: Option<FileSystem>, transcript: &str) {
    if cfg!(not(target_os = "linux")) && matches!(fs, Some(Kernel | Walker)) {
        return;
    }
    static BLESSED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let file = guests().join("expected").join(format!("{name}.txt"));
    // Once in a process: what runs again is compared.
    if std::env::var_os("WASMRUN_BLESS").is_some() && BLESSED.lock().unwrap().insert(name.to_owned()) {
        fs::write(&file, transcript).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    for (number, (expected, got)) in expected.lines().zip(transcript.lines()).enumerate() {
        assert_eq!(got, expected, "line {} of {name}", number + 1);
    }
    assert_eq!(transcript.lines().count(), expected.lines().count(), "lines of {name}:\n{transcript}");
}
