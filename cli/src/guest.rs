//! From the options to what the guest is given: arguments, environment, standard streams, directories.
//!
//! `run` runs the guest with it, `explain` only shows it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Error, Limits, WasiBuilder, WasiCtx};

use crate::args::RunArgs;
use crate::errors::{Failure, Outcome};

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
            .map_err(|error| Failure::new(format!("cannot grant `{}`", dir.option)).because(error))?;
    }
    let mut limits = Limits::default();
    limits.bytes_per_call = options.max_call_bytes.unwrap_or(limits.bytes_per_call);
    limits.random_bytes = options.max_random_bytes.unwrap_or(limits.random_bytes);
    builder.limits(limits);
    if options.trace_wasi {
        builder.trace(std::io::stderr());
    }
    builder.build().map_err(|error| match &error {
        Error::Duplicate(guest) => {
            let same = options.all_dirs().filter(|dir| dir.guest == *guest);
            let same: Vec<_> = same.map(|dir| format!("`{}`", dir.option)).collect();
            Failure::usage(format!("the guest's directory `{guest}` is given twice: {}", same.join(" and ")))
                .help("give one of them another name with `--dir HOST::GUEST`")
        }
        _ => Failure::usage("the guest cannot be given this").because(error),
    })
}
