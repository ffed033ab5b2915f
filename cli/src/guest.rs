//! From the options to what the guest is given: arguments, environment, standard streams, directories.
//!
//! `run` runs the guest with it, `explain` only shows it. What cannot be given is put into words here: what
//! was asked for, why it is not there, what helps.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Errno, Error, Limits, Output, WasiBuilder, WasiCtx};

use crate::args::{DirGrant, RunArgs};
use crate::errors::{Failure, MORE_FILES, Outcome};

/// The WASI context that the command line asks for.
pub fn wasi(run: &RunArgs) -> Outcome<WasiCtx> {
    let options = &run.options;
    let mut builder = WasiBuilder::new();
    builder.inherit_stdio();
    match &options.argv0 {
        Some(name) => builder.arg(name.as_bytes()),
        None => builder.arg(run.file.clone().into_os_string().into_vec()),
    };
    builder.args(run.args.iter().cloned().map(OsString::into_vec));
    if options.inherit_env {
        builder.inherit_env();
    }
    for variable in &options.env {
        let value = variable.value.clone().or_else(|| std::env::var_os(&variable.name)).ok_or_else(|| {
            let name = variable.name.display();
            Failure::usage(format!("`--env {name}`: the host has no variable `{name}`"))
                .help(format!("write `--env {name}=VALUE` to give it a value"))
        })?;
        builder.env(variable.name.clone().into_vec(), value.into_vec());
    }
    for dir in options.all_dirs() {
        let perm = if dir.read_only { Perm::ReadOnly } else { Perm::ReadWrite };
        builder
            .preopened_dir(&dir.host, dir.guest.as_bytes(), perm)
            .map_err(|error| not_granted(dir, error))?;
    }
    let mut limits = Limits::default();
    limits.bytes_per_call = options.max_call_bytes.unwrap_or(limits.bytes_per_call);
    limits.random_bytes = options.max_random_bytes.unwrap_or(limits.random_bytes);
    builder.limits(limits);
    if options.trace_wasi {
        builder.trace_to(Output::Inherit);
    }
    builder.build().map_err(|error| match &error {
        Error::Duplicate(guest) => {
            let same = options.all_dirs().filter(|dir| dir.guest == *guest);
            let same: Vec<_> = same.map(|dir| format!("`{}`", dir.option)).collect();
            Failure::usage(format!("the guest's directory `{guest}` is given twice: {}", same.join(" and ")))
                .help("give one of them another name with `--dir HOST::GUEST`")
        }
        Error::Descriptors => Failure::new("the guest cannot be given its standard streams and directories")
            .because("this process may open too few files for them")
            .help(MORE_FILES),
        _ => Failure::usage("the guest cannot be given this").because(error),
    })
}

/// Why a directory of the host is not there for the guest.
fn not_granted(dir: &DirGrant, error: Error) -> Failure {
    let failure = Failure::new(format!("cannot grant `{}`", dir.option));
    let Error::Dir { errno, .. } = error else { return failure.because(error) };
    let host = dir.host.display();
    let failure = failure.because(format!("cannot open the host's directory `{host}`: {}", reason(errno)));
    match errno {
        Errno::Noent if Path::new(&dir.guest).is_dir() && dir.host != Path::new(&dir.guest) => {
            failure.help(format!("`{}` does exist; the host's name comes first: HOST::GUEST", dir.guest))
        }
        Errno::Noent if dir.host.is_relative() => match std::env::current_dir() {
            Ok(here) => failure.help(format!("it is looked for in `{}`", here.display())),
            Err(_) => failure,
        },
        Errno::Notdir => failure.help("grant the directory that the file is in"),
        Errno::Mfile | Errno::Nfile => failure.help(MORE_FILES),
        _ => failure,
    }
}

/// The error numbers that people run into, in words.
fn reason(errno: Errno) -> String {
    let words = match errno {
        Errno::Noent => "it does not exist",
        Errno::Notdir => "it is no directory",
        Errno::Acces | Errno::Perm => "permission denied",
        Errno::Loop => "too many symbolic links",
        Errno::Nametoolong => "its name is too long",
        Errno::Mfile | Errno::Nfile => "too many files are open",
        _ => return errno.to_string(),
    };
    format!("{words} ({errno})")
}
