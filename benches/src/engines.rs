//! Who runs the programs: which engines there are, where they are found, and how each is told to run one.
//!
//! All of an engine's habits are in its row of [`KINDS`] and in its branch of [`Engine::invocation`].

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::error::{Error, Result};
use crate::measure::Invocation;
use crate::programs::{Mount, Program};

/// The runner for node, beside this package's manifest.
const NODE_RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node-wasi.mjs");

/// An engine that we know how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own, which may keep compiled code from one run to the next.
    Wasmrun,
    /// Our own, told not to.
    WasmrunCold,
    /// wasmi's command.
    Wasmi,
    /// Wasmtime's, which keeps compiled modules from one run to the next.
    Wasmtime,
    /// Wasmtime's, told not to.
    WasmtimeCold,
    /// V8, by node's WASI.
    Node,
    /// No engine: the same C, compiled for this machine.
    Native,
}

/// What is to be known of a kind before it is run.
struct About {
    kind: Kind,
    name: &'static str,
    /// What its executable may be called.
    commands: &'static [&'static str],
    /// How to get it.
    get: &'static str,
}

const KINDS: &[About] = &[
    About {
        kind: Kind::Wasmrun,
        name: "wasmrun",
        commands: &["wasmrun"],
        get: "cargo build --release -p wasmrun-cli",
    },
    About {
        kind: Kind::WasmrunCold,
        name: "wasmrun-cold",
        commands: &["wasmrun"],
        get: "cargo build --release -p wasmrun-cli",
    },
    About {
        kind: Kind::Wasmi,
        name: "wasmi",
        commands: &["wasmi", "wasmi_cli"],
        get: "cargo install wasmi_cli --locked",
    },
    About {
        kind: Kind::Wasmtime,
        name: "wasmtime",
        commands: &["wasmtime"],
        get: "cargo install wasmtime-cli --version 48.0.8 --locked",
    },
    About {
        kind: Kind::WasmtimeCold,
        name: "wasmtime-cold",
        commands: &["wasmtime"],
        get: "cargo install wasmtime-cli --version 48.0.8 --locked",
    },
    About {
        kind: Kind::Node,
        name: "node",
        commands: &["node"],
        get: "the distribution's nodejs, 20 or newer",
    },
    About { kind: Kind::Native, name: "native", commands: &["gcc", "cc"], get: "the distribution's gcc" },
];

/// Who takes part in the table of CPU time if the command line names nobody.
pub const USUAL: &[&str] = &["wasmrun", "wasmi", "wasmtime", "native"];

/// Who takes part in the cold table.
pub const COLD: &[&str] = &["wasmrun:wasmrun-cold", "wasmtime:wasmtime-cold", "wasmi", "node"];

/// Whose start-up curves are drawn.
pub const CURVES: &[&str] = &[
    "tiered:wasmrun-cold=--mode tiered",
    "interp:wasmrun-cold=--mode interp",
    "jit:wasmrun-cold=--mode jit",
    "jit-warm:wasmrun=--mode jit",
    "wasmtime-cold",
    "wasmtime-warm:wasmtime",
    "wasmi",
    "node",
];

/// What the command line says of an engine: `[LABEL:]KIND[=COMMAND]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name in the table.
    pub label: String,
    /// What it is.
    pub kind: Kind,
    /// Its executable, unless it is to be looked for.
    pub command: Option<String>,
    /// Options of its own.
    pub options: Vec<String>,
}

impl Wanted {
    /// Reads the value of `--engine`. A command that starts like an option is one, for the executable that would
    /// be found anyhow.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let (name, command) = text.split_once('=').unwrap_or((text, ""));
        let (label, kind) = name.split_once(':').unwrap_or((name, name));
        let about = KINDS.iter().find(|about| about.name == kind).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|about| about.name).collect();
            format!("`{kind}` is no engine known here; there are: {}", names.join(", "))
        })?;
        let mut words = command.split_whitespace().map(str::to_owned).peekable();
        let command = words.next_if(|word| !word.starts_with('-'));
        Ok(Self { label: label.to_owned(), kind: about.kind, command, options: words.collect() })
    }
}

/// An engine that is there.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Its name in the table.
    pub label: String,
    /// What it is.
    pub kind: Kind,
    /// Its executable.
    pub path: PathBuf,
    /// Options of its own, from the command line.
    pub options: Vec<String>,
    /// What it says of itself.
    pub version: String,
}

impl Engine {
    /// Looks for an engine: at the path that was given, beside this executable (where cargo puts `wasmrun`), on
    /// PATH. If it is not there: why not.
    pub fn find(wanted: &Wanted) -> std::result::Result<Self, String> {
        let about = KINDS.iter().find(|about| about.kind == wanted.kind);
        let (commands, get) = about.map_or((&[][..], ""), |about| (about.commands, about.get));
        let path = match &wanted.command {
            Some(given) if given.contains('/') => {
                fs::canonicalize(given).map_err(|e| format!("{given}: {e}"))?
            }
            Some(given) => on_path(given).ok_or_else(|| format!("no `{given}` on PATH"))?,
            None => {
                let beside = env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
                let own = matches!(wanted.kind, Kind::Wasmrun | Kind::WasmrunCold);
                let beside = beside.filter(|_| own).map(|dir| dir.join("wasmrun"));
                beside
                    .filter(|path| path.is_file())
                    .or_else(|| commands.iter().find_map(|name| on_path(name)))
                    .ok_or_else(|| format!("no `{}` on PATH; to get it: {get}", commands.join("` or `")))?
            }
        };
        let version = version(&path).map_err(|reason| format!("{}: {reason}", path.display()))?;
        let options = wanted.options.clone();
        Ok(Self { label: wanted.label.clone(), kind: wanted.kind, path, options, version })
    }

    /// The command that runs `program`, whose module to run is `wasm`; `None` if this is the native "engine" and
    /// there is no source.
    pub fn invocation(&self, program: &Program, wasm: &Path, scratch: &Path) -> Result<Option<Invocation>> {
        if self.kind == Kind::Native {
            return self.native(program, scratch);
        }
        let mut command: Vec<OsString> = vec![self.path.clone().into()];
        let (mut mount, mut cwd) = (program.mount.clone(), scratch.to_owned());
        match self.kind {
            Kind::Wasmrun => command.push("run".into()),
            Kind::WasmrunCold => command.extend(["run", "--no-cache"].map(Into::into)),
            Kind::Wasmtime | Kind::WasmtimeCold => {
                let cache = if self.kind == Kind::Wasmtime { "cache=y" } else { "cache=n" };
                let features = "gc=y,function-references=y,exceptions=y";
                command.extend(["run", "-C", cache, "-W", features].map(Into::into));
            }
            Kind::Node => command.extend(["--no-warnings", NODE_RUNNER].map(Into::into)),
            Kind::Wasmi => {
                if let Some(mapped) = mount.take() {
                    let same = same_name(&mapped, &scratch.join("mounts").join(&program.name))?;
                    command.extend(["--dir".into(), same.name.into()]);
                    cwd = same.cwd;
                }
            }
            Kind::Native => {}
        }
        command.extend(self.options.iter().map(Into::into));
        if let Some(Mount { host, guest }) = mount {
            let mut both = host.into_os_string();
            both.push("::");
            both.push(guest);
            command.extend(["--dir".into(), both]);
        }
        for (name, value) in &program.env {
            command.extend(["--env".into(), format!("{name}={value}").into()]);
        }
        command.push(wasm.into());
        command.extend(program.args.iter().map(Into::into));
        Ok(Some(Invocation { command, cwd, env: Vec::new() }))
    }

    /// The program's source compiled for this machine, once.
    fn native(&self, program: &Program, scratch: &Path) -> Result<Option<Invocation>> {
        let Some(source) = &program.source else { return Ok(None) };
        let dir = scratch.join("native").join(&self.label);
        let executable = dir.join(&program.name);
        if !executable.exists() {
            fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
            let mut gcc = Command::new(&self.path);
            gcc.arg("-O2").args(&self.options).arg(source).arg("-o").arg(&executable).arg("-lm");
            let output = gcc.output().map_err(Error::io("start", &self.path))?;
            if !output.status.success() {
                let words = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Error::Usage(format!("{} cannot be compiled: {words}", source.display())));
            }
        }
        let command = [executable.into()].into_iter().chain(program.args.iter().map(Into::into)).collect();
        Ok(Some(Invocation { command, cwd: scratch.to_owned(), env: program.env.clone() }))
    }
}

/// A directory under the name that the guest expects, as seen from `cwd`.
struct SameName {
    name: String,
    cwd: PathBuf,
}

/// For a command whose `--dir` gives a directory to the guest under the host's name: a place from where the
/// directory has the guest's name.
///
/// For `.` that is the directory itself. For others it is an empty directory that holds a symbolic link called
/// like the guest's name without its leading slash. wasi-libc strips that slash both from the names of preopened
/// directories and from the paths that it looks up, so `/s/x` is found below `s`.
fn same_name(mount: &Mount, dir: &Path) -> Result<SameName> {
    if mount.guest == "." {
        return Ok(SameName { name: ".".to_owned(), cwd: mount.host.clone() });
    }
    let name = mount.guest.trim_start_matches('/');
    if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::Usage(format!("no link can be called like the guest's `{}`", mount.guest)));
    }
    let link = dir.join(name);
    if fs::symlink_metadata(&link).is_err() {
        let parent = link.parent().unwrap_or(dir);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        symlink(&mount.host, &link).map_err(Error::io("create", &link))?;
    }
    Ok(SameName { name: name.to_owned(), cwd: dir.to_owned() })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// The first line of what the command answers to `--version`.
fn version(path: &Path) -> std::result::Result<String, String> {
    let output =
        Command::new(path).arg("--version").stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        _ => Err("gives no answer to --version".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(kind: Kind) -> Engine {
        Engine {
            label: "e".to_owned(),
            kind,
            path: "/bin/e".into(),
            options: vec!["--own".to_owned()],
            version: String::new(),
        }
    }

    fn mounted(guest: &str) -> Program {
        Program {
            name: "p".to_owned(),
            args: vec!["-x".to_owned(), "1".to_owned()],
            mount: Some(Mount { host: "/host/dir".into(), guest: guest.to_owned() }),
            env: vec![("A".to_owned(), "b".to_owned())],
            ..Program::default()
        }
    }

    /// The command line as one text, and where it is started.
    fn line(kind: Kind, program: &Program, scratch: &Path) -> (String, PathBuf) {
        let invocation = engine(kind).invocation(program, Path::new("/p.wasm"), scratch).unwrap().unwrap();
        let words: Vec<&str> = invocation.command.iter().map(|word| word.to_str().unwrap()).collect();
        (words.join(" "), invocation.cwd)
    }

    #[test]
    fn engines_that_map_directories_are_told_the_guests_name() {
        let scratch = Path::new("/scratch");
        let words = "--own --dir /host/dir::/s --env A=b /p.wasm -x 1";
        assert_eq!(
            line(Kind::Wasmrun, &mounted("/s"), scratch),
            (format!("/bin/e run {words}"), scratch.into())
        );
        assert_eq!(
            line(Kind::WasmrunCold, &mounted("/s"), scratch).0,
            format!("/bin/e run --no-cache {words}")
        );
        for (kind, cache) in [(Kind::Wasmtime, "y"), (Kind::WasmtimeCold, "n")] {
            let wasmtime =
                format!("/bin/e run -C cache={cache} -W gc=y,function-references=y,exceptions=y {words}");
            assert_eq!(line(kind, &mounted("/s"), scratch).0, wasmtime);
        }
        assert_eq!(
            line(Kind::Node, &mounted("/s"), scratch).0,
            format!("/bin/e --no-warnings {NODE_RUNNER} {words}")
        );
    }

    #[test]
    fn wasmi_is_started_where_the_directory_has_the_guests_name() {
        let scratch = tempfile::tempdir().unwrap();
        let (words, cwd) = line(Kind::Wasmi, &mounted("."), scratch.path());
        assert_eq!(
            (words.as_str(), cwd.as_path()),
            ("/bin/e --dir . --own --env A=b /p.wasm -x 1", Path::new("/host/dir"))
        );
        for (guest, name) in [("/s", "s"), ("/a/b", "a/b"), ("c", "c")] {
            let (words, cwd) = line(Kind::Wasmi, &mounted(guest), scratch.path());
            assert_eq!(words, format!("/bin/e --dir {name} --own --env A=b /p.wasm -x 1"));
            assert_eq!(fs::read_link(cwd.join(name)).unwrap(), Path::new("/host/dir"));
        }
        for guest in ["/", "", "a/../b", "a//b"] {
            let result =
                engine(Kind::Wasmi).invocation(&mounted(guest), Path::new("/p.wasm"), scratch.path());
            assert!(result.is_err(), "{guest}");
        }
    }

    #[test]
    fn native_needs_a_source() {
        let invocation =
            engine(Kind::Native).invocation(&mounted("."), Path::new("/p.wasm"), Path::new("/scratch"));
        assert_eq!(invocation.unwrap(), None);
    }

    #[test]
    fn an_engine_is_asked_for_by_kind_and_perhaps_by_label_and_command() {
        let wanted = |label: &str, kind, command: Option<&str>, options: &[&str]| Wanted {
            label: label.to_owned(),
            kind,
            command: command.map(str::to_owned),
            options: options.iter().map(|&word| word.to_owned()).collect(),
        };
        assert_eq!(Wanted::parse("wasmi").unwrap(), wanted("wasmi", Kind::Wasmi, None, &[]));
        assert_eq!(Wanted::parse("node=/opt/n").unwrap(), wanted("node", Kind::Node, Some("/opt/n"), &[]));
        let new = Wanted::parse("new:wasmrun=./w --mode interp -W a=b").unwrap();
        let options = ["--mode", "interp", "-W", "a=b"];
        assert_eq!(new, wanted("new", Kind::Wasmrun, Some("./w"), &options));
        let found = Wanted::parse("new:wasmrun=--mode interp -W a=b").unwrap();
        assert_eq!(found, wanted("new", Kind::Wasmrun, None, &options));
        assert!(Wanted::parse("wasm4").unwrap_err().contains("there are: wasmrun, wasmrun-cold, wasmi"));
    }

    #[test]
    fn those_who_take_part_unasked_are_written_as_the_command_line_would() {
        for (list, first) in [(USUAL, "wasmrun"), (COLD, "wasmrun"), (CURVES, "tiered")] {
            let labels: Vec<String> = list.iter().map(|text| Wanted::parse(text).unwrap().label).collect();
            assert_eq!(labels[0], first);
            assert!(labels.iter().enumerate().all(|(i, label)| !labels[..i].contains(label)), "{labels:?}");
        }
    }
}
