//! Saying what a guest gets. The default is nothing: no arguments, no environment, no directories, no listeners, empty
//! input and lost output. Clocks and random numbers are the host's unless replaced.
//!
//! What can be wrong with a value is found when the context is built, so that the methods chain; only opening a
//! directory fails where it is asked for. Preopened directories have the descriptors from 3 on, in the order in which
//! they were given; listeners come after them, because C libraries stop looking for directories at the first descriptor
//! that is none.

use crate::caps::{CapReport, DirGrant, ListenerGrant};
use crate::clocks::Clocks;
use crate::ctx::{Parts, Strings};
use crate::fdtable::{Descriptor, FdTable};
use crate::limits::Limits;
use crate::random::Random;
use crate::stdio::{Input, Output, Stream};
use crate::trace::Trace;
use crate::vfs::host::{HostDir, HostOptions};
use crate::vfs::memfs::MemFs;
use crate::vfs::path::MAX_PATH;
use crate::vfs::{Mount, Perm};
use crate::{Errno, WasiCtx};
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a context cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Strings end at a NUL, so none can be inside.
    #[error("{what} `{text}` has a NUL byte in it")]
    Nul {
        /// Which kind of string.
        what: &'static str,
        /// The string.
        text: String,
    },
    /// A variable's name is empty or has an equals sign in it.
    #[error("`{0}` cannot be the name of an environment variable: it is empty or has an equals sign in it")]
    EnvName(String),
    /// All arguments, or all variables, together are too large.
    #[error("the {what} are larger than the limit of {limit} bytes")]
    TooLarge {
        /// Arguments or environment.
        what: &'static str,
        /// The limit, with pointers and NULs.
        limit: usize,
    },
    /// A directory of the host cannot be opened.
    #[error("cannot open the directory `{}`: {errno}", .host.display())]
    Dir {
        /// The directory.
        host: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A directory's name for the guest is empty or too long.
    #[error(
        "`{0}` cannot be the name of a directory for a guest: it is empty or longer than {MAX_PATH} bytes"
    )]
    GuestName(String),
    /// Two directories have the same name.
    #[error("two directories have the name `{0}` for the guest")]
    Duplicate(String),
    /// There are more directories and listeners than descriptors.
    #[error("more directories and listeners than the limit of descriptors allows")]
    Descriptors,
    /// A listener cannot be used.
    #[error("a listener cannot be used: {0}")]
    Listener(io::Error),
}

/// A directory to be granted.
struct Preopen {
    guest: Vec<u8>,
    host: Option<PathBuf>,
    backend: &'static str,
    mount: Mount,
}

/// Collects what a guest gets.
///
/// ```
/// use wasmrun_wasi::{Capture, Output, WasiBuilder};
/// let output = Capture::default();
/// let ctx = WasiBuilder::new().args(["prog", "-v"]).env("LANG", "C").stdout(Output::Capture(output.clone())).build()?;
/// assert_eq!(ctx.report().args, 2);
/// # Ok::<(), wasmrun_wasi::Error>(())
/// ```
#[derive(Default)]
pub struct WasiBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<(Vec<u8>, Vec<u8>)>,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    preopens: Vec<Preopen>,
    listeners: Vec<TcpListener>,
    clocks: Option<Clocks>,
    random: Option<Random>,
    limits: Limits,
    strict: bool,
    trace: Option<Trace>,
}

impl std::fmt::Debug for WasiBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiBuilder").finish_non_exhaustive()
    }
}

impl WasiBuilder {
    /// Grants nothing yet.
    pub fn new() -> WasiBuilder {
        WasiBuilder::default()
    }

    /// Adds an argument. The first is the program's name.
    pub fn arg(&mut self, arg: impl Into<Vec<u8>>) -> &mut WasiBuilder {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> &mut WasiBuilder {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable; of the same name, the last counts.
    pub fn env(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut WasiBuilder {
        let (name, value) = (name.into(), value.into());
        match self.env.iter_mut().find(|(existing, _)| *existing == name) {
            Some(variable) => variable.1 = value,
            None => self.env.push((name, value)),
        }
        self
    }

    /// Sets all environment variables of this process.
    pub fn inherit_env(&mut self) -> &mut WasiBuilder {
        for (name, value) in std::env::vars_os() {
            self.env(name.into_encoded_bytes(), value.into_encoded_bytes());
        }
        self
    }

    /// Gives the guest the three standard streams of this process.
    pub fn inherit_stdio(&mut self) -> &mut WasiBuilder {
        self.stdin(Input::Inherit).stdout(Output::Inherit).stderr(Output::Inherit)
    }

    /// Sets where standard input comes from.
    pub fn stdin(&mut self, stdin: impl Into<Input>) -> &mut WasiBuilder {
        self.stdin = stdin.into();
        self
    }

    /// Sets where standard output goes.
    pub fn stdout(&mut self, stdout: impl Into<Output>) -> &mut WasiBuilder {
        self.stdout = stdout.into();
        self
    }

    /// Sets where standard error goes.
    pub fn stderr(&mut self, stderr: impl Into<Output>) -> &mut WasiBuilder {
        self.stderr = stderr.into();
        self
    }

    /// Grants a directory of the host under a name for the guest, such as `/` or `/data`.
    ///
    /// # Errors
    /// [`Error::Dir`] if it cannot be opened.
    pub fn preopened_dir(
        &mut self,
        host: impl AsRef<Path>,
        guest: impl Into<Vec<u8>>,
        perm: Perm,
    ) -> Result<&mut WasiBuilder, Error> {
        let host = host.as_ref();
        let dir = HostDir::open_ambient(host, HostOptions::default())
            .map_err(|errno| Error::Dir { host: host.to_owned(), errno })?;
        let mount = Mount::new(Arc::new(dir), perm);
        Ok(self.preopen(guest.into(), Some(host.to_owned()), "host", mount))
    }

    /// Grants a tree in memory, which the caller fills before and reads afterwards.
    pub fn memfs(&mut self, fs: &MemFs, guest: impl Into<Vec<u8>>, perm: Perm) -> &mut WasiBuilder {
        self.preopen(guest.into(), None, "memory", Mount::new(fs.root(), perm))
    }

    /// Grants any directory with any permission.
    pub fn mount(&mut self, mount: Mount, guest: impl Into<Vec<u8>>) -> &mut WasiBuilder {
        self.preopen(guest.into(), None, "custom", mount)
    }

    fn preopen(
        &mut self,
        guest: Vec<u8>,
        host: Option<PathBuf>,
        backend: &'static str,
        mount: Mount,
    ) -> &mut WasiBuilder {
        self.preopens.push(Preopen { guest, host, backend, mount });
        self
    }

    /// Grants a listening socket. It is set to not block, which whoever shares it will notice.
    pub fn tcp_listener(&mut self, listener: TcpListener) -> &mut WasiBuilder {
        self.listeners.push(listener);
        self
    }

    /// Replaces the clocks.
    pub fn clocks(&mut self, clocks: Clocks) -> &mut WasiBuilder {
        self.clocks = Some(clocks);
        self
    }

    /// Replaces the random numbers.
    pub fn random(&mut self, random: Random) -> &mut WasiBuilder {
        self.random = Some(random);
        self
    }

    /// Replaces the limits.
    pub fn limits(&mut self, limits: Limits) -> &mut WasiBuilder {
        self.limits = limits;
        self
    }

    /// Sets whether pointers that are not aligned for their type trap, as the specification has it. By default they
    /// are accepted.
    pub fn strict(&mut self, strict: bool) -> &mut WasiBuilder {
        self.strict = strict;
        self
    }

    /// Writes a line for each call. A writer that waits keeps the guest waiting: for a pipe or a terminal, see
    /// [`WasiBuilder::trace_to`].
    pub fn trace(&mut self, writer: impl Write + Send + 'static) -> &mut WasiBuilder {
        self.trace = Some(Trace::to_writer(Box::new(writer)));
        self
    }

    /// Writes a line for each call to an output, which [`Output::Inherit`] makes the standard error of this process.
    /// What ends a guest's wait for room in its own output ends the wait for room in this one: see
    /// [`WasiCtx::interruptible_writes`]. A line that is given up is counted, and the next one says so.
    pub fn trace_to(&mut self, output: Output) -> &mut WasiBuilder {
        self.trace = Some(Trace::to_stream(Stream::stderr(output)));
        self
    }

    /// Makes the context of everything said so far, and starts over with nothing.
    ///
    /// # Errors
    /// If anything said cannot be.
    pub fn build(&mut self) -> Result<WasiCtx, Error> {
        let WasiBuilder {
            args,
            env,
            stdin,
            stdout,
            stderr,
            preopens,
            listeners,
            clocks,
            random,
            limits,
            strict,
            trace,
        } = std::mem::take(self);
        let mut report = CapReport {
            args: args.len(),
            stdio: [describe_input(&stdin), describe_output(&stdout), describe_output(&stderr)],
            ..CapReport::default()
        };

        args.iter().try_for_each(|arg| without_nul("the argument", arg))?;
        let args = strings("arguments", args, &limits)?;
        for (name, value) in &env {
            without_nul("the name of the environment variable", name)?;
            without_nul("the value of an environment variable", value)?;
            if name.is_empty() || name.contains(&b'=') {
                return Err(Error::EnvName(lossy(name)));
            }
            report.env.push(lossy(name));
        }
        report.env.sort();
        let env = env.into_iter().map(|(name, value)| [name, value].join(&b'='));
        let env = strings("environment variables", env.collect(), &limits)?;

        let mut table = FdTable::new(&limits);
        let mut grant = |descriptor| table.grant(descriptor).map_err(|_| Error::Descriptors);
        for stream in [Stream::input(stdin), Stream::stdout(stdout), Stream::stderr(stderr)] {
            grant(Descriptor::stream(stream))?;
        }
        for Preopen { guest, host, backend, mount } in preopens {
            without_nul("the name of the directory", &guest)?;
            let name = lossy(&guest);
            if guest.is_empty() || guest.len() > MAX_PATH {
                return Err(Error::GuestName(name));
            }
            if report.dirs.iter().any(|dir| dir.guest == name) {
                return Err(Error::Duplicate(name));
            }
            let writable = mount.perm() == Perm::ReadWrite;
            let fd = grant(Descriptor::preopen(mount.root(), guest.into()))?;
            let host = host.map(|host| host.display().to_string());
            report.dirs.push(DirGrant { fd, guest: name, host, writable, backend });
        }
        for listener in listeners {
            let address = listener.local_addr().map_err(Error::Listener)?.to_string();
            listener.set_nonblocking(true).map_err(Error::Listener)?;
            let fd = grant(Descriptor::listener(listener))?;
            report.listeners.push(ListenerGrant { fd, address });
        }

        let (clocks, random) = (clocks.unwrap_or_else(Clocks::real), random.unwrap_or_else(Random::host));
        (report.clocks, report.random) = (clocks.describe(), random.describe());
        Ok(WasiCtx::from_parts(Parts { args, env, table, clocks, random, limits, strict, trace, report }))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn without_nul(what: &'static str, bytes: &[u8]) -> Result<(), Error> {
    if bytes.contains(&0) { Err(Error::Nul { what, text: bytes.escape_ascii().to_string() }) } else { Ok(()) }
}

fn strings(what: &'static str, strings: Vec<Vec<u8>>, limits: &Limits) -> Result<Strings, Error> {
    let limit = limits.strings;
    Strings::new(strings.iter().map(Vec::as_slice), limit).ok_or(Error::TooLarge { what, limit })
}

fn describe_input(input: &Input) -> &'static str {
    match input {
        Input::Null => "null",
        Input::Bytes(_) => "bytes",
        Input::Inherit => "inherited",
        Input::Fd(_) => "file",
    }
}

fn describe_output(output: &Output) -> &'static str {
    match output {
        Output::Null => "null",
        Output::Inherit => "inherited",
        Output::Capture(_) => "captured",
        Output::Fd(_) => "file",
    }
}
