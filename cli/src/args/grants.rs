//! What a guest is given on the command line: directories, environment variables and preloaded modules.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A directory of the host and the name under which the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirGrant {
    /// The directory.
    pub host: PathBuf,
    /// Its name in the guest.
    pub guest: String,
    /// Whether the guest may only look.
    pub read_only: bool,
    /// The option as it was written, for messages.
    pub option: String,
}

impl DirGrant {
    /// Reads `HOST[::GUEST][::ro]`.
    pub fn parse(text: &OsStr) -> Result<DirGrant, String> {
        let option = format!("--dir {}", text.to_string_lossy());
        let mut parts = split_double_colon(text.as_bytes());
        let read_only = parts.len() > 1 && parts.last() == Some(&&b"ro"[..]);
        if read_only {
            parts.pop();
        }
        let (host, guest) = match parts[..] {
            [host] if host.contains(&b':') => return Err(two_readings(text, host, read_only)),
            [host] => (host, host),
            [host, guest] => (host, guest),
            _ => {
                return Err(format!("`{}` has too many parts; write HOST[::GUEST][::ro]", text.display()));
            }
        };
        if host.is_empty() || guest.is_empty() {
            return Err(format!("`{}` names no directory; write HOST[::GUEST][::ro]", text.display()));
        }
        Ok(DirGrant {
            host: OsString::from_vec(host.to_vec()).into(),
            guest: guest_name(guest)?,
            read_only,
            option,
        })
    }

    /// Reads the value of `--cwd`: a directory that becomes the guest's `.`.
    pub fn cwd(text: &OsStr) -> Result<DirGrant, String> {
        if text.is_empty() {
            return Err("the path is empty".to_owned());
        }
        let option = format!("--cwd {}", text.to_string_lossy());
        Ok(DirGrant { host: text.into(), guest: ".".to_owned(), read_only: false, option })
    }
}

fn guest_name(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        "the guest's name of the directory is not UTF-8; give it another one with HOST::GUEST".to_owned()
    })?;
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}

fn split_double_colon(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(2).position(|pair| pair == b"::") {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + 2..];
    }
    parts.push(bytes);
    parts
}

/// Some runtimes write HOST:GUEST and some GUEST:HOST. A wrong guess would open the wrong directory.
fn two_readings(text: &OsStr, pair: &[u8], read_only: bool) -> String {
    let pair = String::from_utf8_lossy(pair);
    let (left, right) = pair.split_once(':').unwrap_or((&pair, ""));
    let mode = if read_only { "::ro" } else { "" };
    format!(
        "`{}` has a single `:`, which can be read in two ways; write `{left}::{right}{mode}` to show the host's \
         `{left}` as `{right}`, or `{right}::{left}{mode}` to show the host's `{right}` as `{left}`",
        text.display()
    )
}

/// An environment variable of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvGrant {
    /// Its name.
    pub name: OsString,
    /// Its value; `None` takes the host's.
    pub value: Option<OsString>,
}

impl EnvGrant {
    /// Reads `K=V` or `K`.
    pub fn parse(text: &OsStr) -> Result<EnvGrant, String> {
        let bytes = text.as_bytes();
        let (name, value) = match bytes.iter().position(|b| *b == b'=') {
            Some(at) => (&bytes[..at], Some(OsString::from_vec(bytes[at + 1..].to_vec()))),
            None => (bytes, None),
        };
        if name.is_empty() {
            return Err(format!("`{}` names no variable; write NAME=VALUE or NAME", text.display()));
        }
        Ok(EnvGrant { name: OsString::from_vec(name.to_vec()), value })
    }
}

/// A module whose exports others can import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preload {
    /// The name under which they import them.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
}

impl Preload {
    /// Reads `NAME=FILE`.
    pub fn parse(text: &OsStr) -> Result<Preload, String> {
        let bytes = text.as_bytes();
        let wrong = || format!("`{}` is not of the form NAME=FILE", text.display());
        let at = bytes.iter().position(|b| *b == b'=').ok_or_else(wrong)?;
        let name = std::str::from_utf8(&bytes[..at]).map_err(|_| wrong())?.to_owned();
        if at + 1 == bytes.len() {
            return Err(wrong());
        }
        Ok(Preload { name, file: OsString::from_vec(bytes[at + 1..].to_vec()).into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(text: &str) -> (String, String, bool) {
        let grant = DirGrant::parse(OsStr::new(text)).unwrap();
        (grant.host.to_str().unwrap().to_owned(), grant.guest, grant.read_only)
    }

    fn triple(host: &str, guest: &str, read_only: bool) -> (String, String, bool) {
        (host.to_owned(), guest.to_owned(), read_only)
    }

    #[test]
    fn directories_are_host_then_guest_then_mode() {
        assert_eq!(dir("."), triple(".", ".", false));
        assert_eq!(dir("data/"), triple("data/", "data", false));
        assert_eq!(dir("/"), triple("/", "/", false));
        assert_eq!(dir("a::b"), triple("a", "b", false));
        assert_eq!(dir("a::b::ro"), triple("a", "b", true));
        assert_eq!(dir("a::ro"), triple("a", "a", true));
        assert_eq!(dir("a:b::c:d"), triple("a:b", "c:d", false));
        assert_eq!(dir("a::/ro"), triple("a", "/ro", false));
    }

    #[test]
    fn a_single_colon_is_refused_with_both_readings() {
        let error = DirGrant::parse(OsStr::new("in:/data")).unwrap_err();
        assert!(error.contains("`in::/data`") && error.contains("`/data::in`"), "{error}");
        let error = DirGrant::parse(OsStr::new("in:/data::ro")).unwrap_err();
        assert!(error.contains("`in::/data::ro`") && error.contains("`/data::in::ro`"), "{error}");
        assert!(DirGrant::parse(OsStr::new("a::b::c")).is_err());
        assert!(DirGrant::parse(OsStr::new("")).is_err());
        assert!(DirGrant::parse(OsStr::new("::b")).is_err());
    }

    #[test]
    fn variables_split_at_the_first_equals_sign() {
        let parse = |text: &str| EnvGrant::parse(OsStr::new(text));
        assert_eq!(parse("A=b=c").unwrap().value, Some("b=c".into()));
        assert_eq!(parse("A=").unwrap().value, Some("".into()));
        assert_eq!(parse("A").unwrap().value, None);
        assert!(parse("=x").is_err());
    }

    #[test]
    fn preloads_need_a_name_and_a_file() {
        let parse = |text: &str| Preload::parse(OsStr::new(text));
        assert_eq!(parse("bench=a=b.wasm").unwrap().file, PathBuf::from("a=b.wasm"));
        assert!(parse("bench").is_err());
        assert!(parse("bench=").is_err());
    }
}
