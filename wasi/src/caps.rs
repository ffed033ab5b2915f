//! What a program asks for and what a context grants: the material of `wasmrun explain`.
//!
//! A program's imports say what it could use; [`classify`] puts each into a class of power. A [`CapReport`] says what a
//! context grants, for people and, through `serde`, for machines. [`explain`] holds the two against each other.

use crate::abi::{Call, Class, PREVIEW0, Preview};
use crate::origins;
use serde::Serialize;
use std::fmt;

impl Class {
    /// What the class gives power over, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Class::Args => "read the command-line arguments",
            Class::Env => "read environment variables",
            Class::Clock => "read clocks and sleep",
            Class::Random => "get random numbers",
            Class::Stdio => "use descriptors it was given or could open",
            Class::FsRead => "read directories it was given",
            Class::FsWrite => "change directories it was given",
            Class::Listen => "accept connections on sockets it was given",
            Class::Process => "end or pause itself",
            Class::Threads => "start threads",
            Class::Unknown => "unknown to WASI",
        }
    }
}

/// The class of an imported function.
pub fn classify(module: &str, name: &str) -> Class {
    if origins::is_thread_spawn(module, name) {
        return Class::Threads;
    }
    let Some(preview) = Preview::of_module(module) else { return Class::Unknown };
    let in_preview0 = std::ptr::eq(preview, &PREVIEW0);
    match Call::by_name(name) {
        Some(call) if !in_preview0 || call.function().in_preview0 => call.function().class,
        _ => Class::Unknown,
    }
}

/// What a context grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CapReport {
    /// How many arguments there are, the program's name included.
    pub args: usize,
    /// Names of the environment variables, sorted.
    pub env: Vec<String>,
    /// Standard input, output and error.
    pub stdio: [&'static str; 3],
    /// Directories.
    pub dirs: Vec<DirGrant>,
    /// Listening sockets.
    pub listeners: Vec<ListenerGrant>,
    /// Which clocks: `real`, `virtual` or `fixed`.
    pub clocks: &'static str,
    /// Which random numbers: `host` or `seeded`.
    pub random: &'static str,
}

/// A directory that a context grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DirGrant {
    /// Its descriptor at the start.
    pub fd: u32,
    /// The name that the guest knows.
    pub guest: String,
    /// Where it is on the host; none if it is nowhere.
    pub host: Option<String>,
    /// Whether the guest may change it.
    pub writable: bool,
    /// What kind of directory it is: `host`, `memory` or `custom`.
    pub backend: &'static str,
}

/// A listening socket that a context grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ListenerGrant {
    /// Its descriptor at the start.
    pub fd: u32,
    /// The address it listens on.
    pub address: String,
}

impl CapReport {
    /// Whether anything of this class is granted.
    pub fn grants(&self, class: Class) -> bool {
        match class {
            Class::Args => self.args > 0,
            Class::Env => !self.env.is_empty(),
            Class::Clock | Class::Random | Class::Process => true,
            Class::Stdio => self.stdio.iter().any(|&stream| stream != "null") || !self.dirs.is_empty(),
            Class::FsRead => !self.dirs.is_empty(),
            Class::FsWrite => self.dirs.iter().any(|dir| dir.writable),
            Class::Listen => !self.listeners.is_empty(),
            Class::Threads | Class::Unknown => false,
        }
    }
}

impl fmt::Display for CapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "arguments: {}", self.args)?;
        let env = if self.env.is_empty() { "none".to_owned() } else { self.env.join(" ") };
        writeln!(f, "environment: {env}")?;
        let [stdin, stdout, stderr] = self.stdio;
        writeln!(f, "standard streams: stdin {stdin}, stdout {stdout}, stderr {stderr}")?;
        for DirGrant { fd, guest, host, writable, backend } in &self.dirs {
            let access = if *writable { "read and write" } else { "read only" };
            let host = host.as_deref().unwrap_or("-");
            writeln!(f, "directory {fd}: {guest} <- {host} ({backend}, {access})")?;
        }
        for ListenerGrant { fd, address } in &self.listeners {
            writeln!(f, "listener {fd}: {address}")?;
        }
        write!(f, "clocks: {}, random numbers: {}", self.clocks, self.random)
    }
}

/// What an imported function is for and whether it will find anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Its module.
    pub module: String,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: Class,
    /// Whether the context grants anything of that class. All functions of WASI can be called either way: they fail.
    pub granted: bool,
    /// What to know about a function that is not there.
    pub hint: Option<&'static str>,
}

/// Holds a program's imports against what a context grants.
pub fn explain<'a>(
    imports: impl IntoIterator<Item = (&'a str, &'a str)>,
    report: &CapReport,
) -> Vec<ImportReport> {
    let explained = imports.into_iter().map(|(module, name)| {
        let class = classify(module, name);
        let missing = matches!(class, Class::Unknown | Class::Threads);
        let hint = origins::of(module, name).filter(|_| missing).map(|origin| origin.text);
        ImportReport {
            module: module.to_owned(),
            name: name.to_owned(),
            class,
            granted: report.grants(class),
            hint,
        }
    });
    explained.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_the_class_of_the_table_in_the_previews_that_have_them() {
        assert_eq!(classify("wasi_snapshot_preview1", "path_unlink_file"), Class::FsWrite);
        assert_eq!(classify("wasi_unstable", "random_get"), Class::Random);
        assert_eq!(classify("wasi_snapshot_preview1", "sock_accept"), Class::Listen);
        assert_eq!(classify("wasi_unstable", "sock_accept"), Class::Unknown);
        assert_eq!(classify("env", "fd_write"), Class::Unknown);
        assert_eq!(classify("wasi", "thread-spawn"), Class::Threads);
    }
}
