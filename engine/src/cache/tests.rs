//! A cache on its bad days. Each test has a directory of its own, and a module that is compiled again when it must.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FileType;

use super::directory::{Kind, judge};
use super::*;
use crate::{Config, Engine, Instance, Module, OptLevel, Store, Strategy};

const ANSWER: &str = r#"(module
    (func $half (result i32) (i32.const 21))
    (func (export "answer") (result i32) (i32.add (call $half) (call $half))))"#;

struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("deep/er/cache")
    }

    fn config(&self) -> CacheConfig {
        let mut config = CacheConfig::new();
        config.with_directory(self.path());
        config
    }

    /// The cache, opened anew.
    fn open(&self) -> Cache {
        Cache::new(self.config()).unwrap()
    }

    /// The one file with code.
    fn file(&self) -> PathBuf {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let code: Vec<_> = names.filter(|path| path.extension().is_some_and(|end| end == "wrc")).collect();
        let [file] = &code[..] else { panic!("{code:?}") };
        file.clone()
    }

    fn refused(&self) -> String {
        format!("{:#}", Cache::new(self.config()).unwrap_err())
    }
}

/// Makes the module with an engine of its own, checks what it computes, and says how many hits and misses there were and
/// what was odd.
fn run_with(cache: &Cache, config: &mut Config) -> (usize, usize, Vec<String>) {
    let before = (cache.cache_hits(), cache.cache_misses());
    config.strategy(Strategy::Jit).cache(Some(cache.clone()));
    let engine = Engine::new(config).unwrap();
    assert_eq!(engine.no_compiled_code(), None);
    let module = Module::new(&engine, ANSWER).unwrap();
    assert!(module.uncompiled().is_empty());
    let mut store = Store::new(&engine, ());
    if engine.config().fuel() {
        store.set_fuel(1000).unwrap();
    }
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let answer = instance.get_typed_func::<(), i32>(&mut store, "answer").unwrap();
    assert_eq!(answer.call(&mut store, ()).unwrap(), 42);
    (cache.cache_hits() - before.0, cache.cache_misses() - before.1, cache.problems())
}

fn run(cache: &Cache) -> (usize, usize, Vec<String>) {
    run_with(cache, &mut Config::new())
}

const HIT: (usize, usize, Vec<String>) = (1, 0, Vec::new());
const MISS: (usize, usize, Vec<String>) = (0, 1, Vec::new());

/// Does something to a cache that has the module in it: then it is a miss for the reason given, and all is well the next
/// time.
#[track_caller]
fn mishap(what: impl Fn(&Scratch), reason: &str) {
    let scratch = Scratch::new();
    assert_eq!(run(&scratch.open()), MISS);
    what(&scratch);
    let (hits, misses, problems) = run(&scratch.open());
    assert_eq!((hits, misses), (0, 1), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains(reason)), "{problems:?}");
    assert_eq!(run(&scratch.open()), HIT);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn change(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn code_is_found_by_the_next_engine_and_by_the_next_process() {
    let scratch = Scratch::new();
    let first = scratch.open();
    assert_eq!(run(&first), MISS);
    assert_eq!(run(&first), HIT);
    assert_eq!(run(&scratch.open()), HIT);
    let stat = first.stat().unwrap();
    assert_eq!((stat.files, stat.bytes), (1, fs::metadata(scratch.file()).unwrap().len()));
    for (path, expected) in
        [(scratch.path(), 0o700), (scratch.file(), 0o600), (scratch.path().join("key"), 0o600)]
    {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn code_is_found_only_by_what_it_was_made_for() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    let variants: [fn(&mut Config); 5] = [
        |_| {},
        |config| {
            config.cranelift_opt_level(OptLevel::None);
        },
        |config| {
            config.consume_fuel(true);
        },
        |config| {
            config.wasm_multi_memory(false);
        },
        |config| {
            config.consume_fuel(true).cranelift_opt_level(OptLevel::None);
        },
    ];
    for expected in [MISS, HIT] {
        for variant in variants {
            let mut config = Config::new();
            variant(&mut config);
            assert_eq!(run_with(&cache, &mut config), expected);
        }
    }
    assert_eq!(cache.stat().unwrap().files, variants.len() as u64);
}

#[test]
fn the_interpreter_leaves_the_disk_alone() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    let mut config = Config::new();
    config.strategy(Strategy::Interpreter).cache(Some(cache.clone()));
    Module::new(&Engine::new(&config).unwrap(), ANSWER).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    assert_eq!((cache.cache_hits(), cache.cache_misses()), (0, 0));
}

#[test]
fn functions_that_were_left_out_are_added_when_they_are_compiled() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    assert_eq!(run_with(&cache, Config::new().compile_only(|function| function == 0)), MISS);
    let small = cache.stat().unwrap();
    assert_eq!(run(&cache), HIT);
    let whole = cache.stat().unwrap();
    assert!(whole.files == 1 && whole.bytes > small.bytes, "{small:?} {whole:?}");
    // Nothing new, nothing written.
    let written = fs::metadata(scratch.file()).unwrap();
    assert_eq!(run_with(&cache, Config::new().compile_only(|function| function == 1)), HIT);
    let same = fs::metadata(scratch.file()).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(written.ino(), same.ino());
}

#[test]
fn what_cannot_be_compiled_is_known_the_next_time() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    let body = "(drop (i32.const 1))".repeat(400 << 10);
    let text = format!("(module (func) (func {body}))");
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let engine = Engine::new(Config::new().strategy(Strategy::Jit).cache(Some(cache.clone()))).unwrap();
        let [left] = &Module::new(&engine, &text).unwrap().uncompiled()[..] else { panic!() };
        reasons.push((left.function, left.reason.clone()));
    }
    assert_eq!((cache.cache_hits(), cache.cache_misses()), (1, 1));
    assert_eq!(reasons[0], reasons[1]);
}

#[test]
fn files_that_are_not_as_they_were_written_are_ignored_and_replaced() {
    const CHANGED: &str = "changed or cut off";
    for (at, of) in [(0, 9), (1, 9), (5, 9), (8, 9)] {
        mishap(
            |scratch| {
                change(&scratch.file(), |bytes| {
                    let at = bytes.len() * at / of;
                    bytes[at] ^= 1;
                });
            },
            CHANGED,
        );
        mishap(|scratch| change(&scratch.file(), |bytes| bytes.truncate(bytes.len() * at / of)), CHANGED);
    }
    mishap(|scratch| change(&scratch.file(), |bytes| bytes.push(0)), CHANGED);
    mishap(
        |scratch| {
            let other = Scratch::new();
            assert_eq!(run(&other.open()), MISS);
            fs::copy(other.file(), scratch.file()).unwrap();
        },
        CHANGED,
    );
    mishap(|scratch| set_mode(&scratch.file(), 0o644), "open to other users");
    mishap(
        |scratch| {
            let (file, elsewhere) = (scratch.file(), scratch.dir.path().join("elsewhere"));
            fs::rename(&file, &elsewhere).unwrap();
            symlink(elsewhere, file).unwrap();
        },
        "symbolic link",
    );
    mishap(
        |scratch| {
            let file = scratch.file();
            fs::remove_file(&file).unwrap();
            assert!(Command::new("mkfifo").args(["-m", "600"]).arg(file).status().unwrap().success());
        },
        "Fifo",
    );
}

#[test]
fn code_under_the_name_of_other_code_is_ignored() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    assert_eq!(run(&cache), MISS);
    let plain = scratch.file();
    let kept = fs::read(&plain).unwrap();
    fs::remove_file(&plain).unwrap();
    let fuel = || {
        let mut config = Config::new();
        config.consume_fuel(true);
        config
    };
    assert_eq!(run_with(&cache, &mut fuel()), MISS);
    fs::write(scratch.file(), kept).unwrap();
    let (hits, misses, problems) = run_with(&cache, &mut fuel());
    assert_eq!((hits, misses, problems.len()), (0, 1, 1));
    assert!(problems[0].contains("for something else"), "{problems:?}");
}

#[test]
fn a_key_that_others_may_know_is_replaced() {
    let key = |scratch: &Scratch| scratch.path().join("key");
    mishap(|scratch| set_mode(&key(scratch), 0o640), "key is replaced: it is open to other users");
    mishap(|scratch| change(&key(scratch), |bytes| bytes.truncate(31)), "key is replaced: it has 31 bytes");
    mishap(|scratch| change(&key(scratch), |bytes| bytes.push(0)), "key is replaced");
    mishap(|scratch| change(&key(scratch), |bytes| bytes[3] ^= 1), "with another key");
    mishap(|scratch| fs::remove_file(key(scratch)).unwrap(), "with another key");
    mishap(
        |scratch| {
            let elsewhere = scratch.dir.path().join("elsewhere");
            fs::rename(key(scratch), &elsewhere).unwrap();
            symlink(elsewhere, key(scratch)).unwrap();
        },
        "key is replaced: it is a symbolic link",
    );
}

#[test]
fn without_a_key_code_is_compiled_each_time() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    fs::create_dir(scratch.path().join("key")).unwrap();
    for _ in 0..2 {
        let (hits, misses, problems) = run(&scratch.open());
        assert_eq!((hits, misses), (0, 1));
        assert!(problems.iter().any(|problem| problem.contains("there is no key")), "{problems:?}");
    }
    assert_eq!(cache.stat().unwrap(), CacheStat::default());
}

#[test]
fn a_directory_that_others_can_use_is_refused() {
    for open in [0o770, 0o701, 0o755] {
        let scratch = Scratch::new();
        scratch.open();
        set_mode(&scratch.path(), open);
        assert!(scratch.refused().contains("open to other users"), "{}", scratch.refused());
    }
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    let judged = |what, is, owner, mode| judge(what, is, owner, mode, 7).map_err(|error| error.to_string());
    assert_eq!(judged(Kind::File, FileType::RegularFile, 7, 0o100_600), Ok(()));
    assert_eq!(judged(Kind::Directory, FileType::Directory, 7, 0o040_700), Ok(()));
    for other in [0, 8] {
        let error = judged(Kind::File, FileType::RegularFile, other, 0o600).unwrap_err();
        assert!(error.contains(&format!("belongs to user {other}")), "{error}");
    }
    for (what, is) in [(Kind::File, FileType::Directory), (Kind::Directory, FileType::RegularFile)] {
        assert!(judged(what, is, 7, 0o700).is_err());
    }
    if !is_root() {
        return;
    }
    let nobody = |path: &Path| std::os::unix::fs::lchown(path, Some(65534), None).unwrap();
    let scratch = Scratch::new();
    scratch.open();
    nobody(&scratch.path());
    assert!(scratch.refused().contains("belongs to user 65534"), "{}", scratch.refused());
    // Nothing is made for root in the home of somebody else.
    let scratch = Scratch::new();
    nobody(scratch.dir.path());
    assert!(scratch.refused().contains("belongs to user 65534"), "{}", scratch.refused());
    mishap(|scratch| nobody(&scratch.file()), "belongs to user 65534");
    mishap(|scratch| nobody(&scratch.path().join("key")), "the key is replaced: it belongs to user 65534");
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir.path().join("real")).unwrap();
    symlink("real", scratch.dir.path().join("deep")).unwrap();
    nobody(&scratch.dir.path().join("deep"));
    assert!(scratch.refused().contains("a link of user 65534"), "{}", scratch.refused());
}

#[test]
fn the_way_to_the_directory_may_have_links_and_its_end_may_not() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.dir.path().join("real")).unwrap();
    symlink("real", scratch.dir.path().join("deep")).unwrap();
    assert_eq!(run(&scratch.open()), MISS);
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.dir.path().join("deep/er")).unwrap();
    symlink(scratch.dir.path(), scratch.path()).unwrap();
    assert!(scratch.refused().contains("symbolic link"), "{}", scratch.refused());
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.dir.path().join("deep/er")).unwrap();
    fs::write(scratch.path(), "").unwrap();
    assert!(Cache::new(scratch.config()).is_err());
}

#[test]
fn a_missing_directory_is_made_for_code_and_not_for_a_look() {
    let scratch = Scratch::new();
    assert!(Cache::existing(scratch.config()).unwrap().is_none());
    assert!(!scratch.path().exists());
    scratch.open();
    assert_eq!(Cache::existing(scratch.config()).unwrap().unwrap().stat().unwrap(), CacheStat::default());
}

#[test]
fn cleaning_removes_code_and_remains_and_nothing_else() {
    let scratch = Scratch::new();
    let cache = scratch.open();
    assert_eq!(run(&cache), MISS);
    for name in ["tmp-0123456789abcdef", "notes.txt", "other.wrc"] {
        fs::write(scratch.path().join(name), "x").unwrap();
    }
    let there = cache.stat().unwrap();
    assert_eq!(cache.clean().unwrap(), there);
    assert_eq!(cache.stat().unwrap(), CacheStat::default());
    let mut left: Vec<_> =
        fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["key", "notes.txt", "other.wrc"]);
    assert_eq!(run(&cache), MISS);
}

#[test]
fn a_cache_does_not_outgrow_its_limit() {
    let scratch = Scratch::new();
    let bytes = {
        let cache = scratch.open();
        run(&cache);
        cache.stat().unwrap().bytes
    };
    let with_limit = |limit| {
        let mut config = scratch.config();
        config.with_files_total_size_soft_limit(limit);
        Cache::new(config).unwrap()
    };
    let cache = with_limit(2 * bytes);
    assert_eq!(run_with(&cache, Config::new().consume_fuel(true)), MISS);
    assert_eq!(cache.stat().unwrap().files, 1);
    assert_eq!(run_with(&cache, Config::new().consume_fuel(true)), HIT);
    // Not even one file fits.
    let cache = with_limit(64);
    let (hits, misses, problems) = run(&cache);
    assert_eq!((hits, misses, problems.len()), (0, 1, 1));
    assert!(problems[0].contains("the whole cache may have 64"), "{problems:?}");
}

/// The tests that need a process of their own run themselves again with this variable set to the directory.
const CHILD: &str = "WASMRUN_TEST_CACHE";

fn child(test: &str, scratch: &Scratch) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("cache::tests::{test}");
    command.args([&name, "--exact", "--nocapture"]).env(CHILD, scratch.path());
    command
}

fn as_child() -> Option<CacheConfig> {
    let mut config = CacheConfig::new();
    config.with_directory(std::env::var_os(CHILD)?);
    Some(config)
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_process() {
    let scratch = Scratch::new();
    let Some(config) = as_child() else {
        // Its output goes to a pipe: a file that it wrote to would be limited, too.
        let output =
            child("a_limit_on_the_size_of_files_does_not_end_the_process", &scratch).output().unwrap();
        return assert!(output.status.success(), "{output:?}");
    };
    let cache = Cache::new(config).unwrap();
    // A module of which nothing is compiled makes the engine while it still may have a large file for code.
    let engine = Engine::new(Config::new().strategy(Strategy::Jit).cache(Some(cache.clone()))).unwrap();
    let limit = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    Module::new(&engine, ANSWER).unwrap();
    assert!(cache.problems().iter().any(|p| p.contains("files of 64 bytes")), "{:?}", cache.problems());
    assert_eq!(fs::read_dir(cache.directory()).unwrap().count(), 1, "there is only the key");
}

#[test]
fn a_directory_in_which_nothing_can_be_written_costs_the_time_to_compile() {
    let scratch = Scratch::new();
    let Some(config) = as_child() else {
        scratch.open();
        set_mode(&scratch.path(), 0o500);
        if is_root() {
            // Root may write wherever it likes; another user owns the directory and is what the child becomes.
            std::os::unix::fs::lchown(scratch.path(), Some(65534), Some(65534)).unwrap();
            set_mode(scratch.dir.path(), 0o755);
            set_mode(&scratch.dir.path().join("deep"), 0o755);
            set_mode(&scratch.dir.path().join("deep/er"), 0o755);
        }
        let test = "a_directory_in_which_nothing_can_be_written_costs_the_time_to_compile";
        let output = child(test, &scratch).output().unwrap();
        return assert!(output.status.success(), "{output:?}");
    };
    if is_root() {
        become_nobody();
    }
    let cache = Cache::new(config).unwrap();
    for _ in 0..2 {
        let (hits, misses, problems) = run(&cache);
        assert_eq!((hits, misses), (0, 1));
        assert!(problems.iter().any(|p| p.contains("no file can be made")), "{problems:?}");
    }
    assert_eq!(fs::read_dir(cache.directory()).unwrap().count(), 0);
}

#[allow(unsafe_code)]
fn become_nobody() {
    // SAFETY: a system call without pointers.
    let status = unsafe { libc::setuid(65534) };
    assert_eq!(status, 0);
}

#[test]
fn processes_that_write_at_once_do_not_disturb_each_other() {
    let scratch = Scratch::new();
    let Some(config) = as_child() else {
        let test = "processes_that_write_at_once_do_not_disturb_each_other";
        let start = |_| child(test, &scratch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..4).map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        assert_eq!(run(&scratch.open()), HIT);
        let left = fs::read_dir(scratch.path()).unwrap().count();
        return assert_eq!(left, 2, "the key and one file");
    };
    let cache = Cache::new(config).unwrap();
    for _ in 0..20 {
        let (_, _, problems) = run(&cache);
        assert!(problems.is_empty(), "{problems:?}");
        // So that there is something to write.
        let _ = fs::remove_file(
            fs::read_dir(cache.directory())
                .unwrap()
                .find_map(|entry| {
                    let path = entry.unwrap().path();
                    path.extension().is_some().then_some(path)
                })
                .unwrap_or_default(),
        );
    }
    run(&cache);
}

#[test]
fn code_of_a_module_does_not_make_it_valid_for_an_engine_that_refuses_it() {
    let scratch = Scratch::new();
    let wat = "(module (func (return_call 0)))";
    for tail_calls in [true, true, false, true] {
        let mut config = Config::new();
        config.strategy(Strategy::Jit).wasm_tail_call(tail_calls).cache(Some(scratch.open()));
        let module = Module::new(&Engine::new(&config).unwrap(), wat);
        assert_eq!(module.is_ok(), tail_calls);
    }
}
