//! The grammar of guest paths, applied before any backend or kernel sees a byte of them.
//!
//! A [`GuestPath`] exists only if the bytes are a relative path of legal lengths without NUL. Nothing is collapsed:
//! `a/..` is not the same as `.` where `a` is a symbolic link, so that only a backend, with the tree at hand, can walk
//! it. A [`Basename`] is one plain component; operations that act on the last component of a path take that type, so
//! that no string with a slash can reach a second system call (trailing slashes passed on to the kernel have undone
//! `O_NOFOLLOW` in other sandboxes).
//!
//! Made by the functions of preview 1 from guest memory, and by the backends from the targets of symbolic links.

use std::fmt;

use crate::errno::Errno;

/// The longest path, in bytes: `PATH_MAX` of Linux less its NUL.
pub const MAX_PATH: usize = 4095;

/// The longest component, in bytes.
pub const MAX_COMPONENT: usize = 255;

/// How many symbolic links one resolution may pass through before it is [`Errno::Loop`]; Linux has the same number.
pub const MAX_LINKS: usize = 40;

/// A relative path as a guest gives it. It can still point outside through `..` or a link: backends check that.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GuestPath {
    bytes: Vec<u8>,
    /// Where the trailing slashes begin.
    trimmed: usize,
}

impl GuestPath {
    /// Checks the bytes of a path.
    ///
    /// # Errors
    /// [`Errno::Noent`] if it is empty, [`Errno::Nametoolong`] above [`MAX_PATH`] or with a component above
    /// [`MAX_COMPONENT`], [`Errno::Inval`] with a NUL in it, [`Errno::Perm`] if it is absolute.
    pub fn new(bytes: &[u8]) -> Result<GuestPath, Errno> {
        if bytes.is_empty() {
            return Err(Errno::Noent);
        }
        if bytes.len() > MAX_PATH {
            return Err(Errno::Nametoolong);
        }
        if bytes.contains(&0) {
            return Err(Errno::Inval);
        }
        if bytes[0] == b'/' {
            return Err(Errno::Perm);
        }
        if bytes.split(|&byte| byte == b'/').any(|component| component.len() > MAX_COMPONENT) {
            return Err(Errno::Nametoolong);
        }
        // The first byte is no slash, so something remains.
        let trimmed = bytes.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        Ok(GuestPath { bytes: bytes.to_vec(), trimmed })
    }

    /// All bytes, trailing slashes included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the path ends in a slash, so that it must name a directory.
    pub fn must_be_dir(&self) -> bool {
        self.trimmed < self.bytes.len()
    }

    /// The components in order; empty ones (between two slashes) do not count.
    pub fn components(&self) -> impl Iterator<Item = Component> {
        self.bytes.split(|&byte| byte == b'/').filter(|bytes| !bytes.is_empty()).map(Component::classify)
    }

    /// The last component, and what comes before it: `None` if there is nothing, else a path that names a directory.
    pub fn split_last(&self) -> (Option<&[u8]>, Component) {
        let path = &self.bytes[..self.trimmed];
        match path.iter().rposition(|&byte| byte == b'/') {
            None => (None, Component::classify(path)),
            Some(slash) => (Some(&path[..slash]), Component::classify(&path[slash + 1..])),
        }
    }

    /// The path that names what a link with the text `target` points to, if the last component of `self` is that link.
    ///
    /// # Errors
    /// As [`GuestPath::new`]: [`Errno::Perm`] for an absolute target, [`Errno::Nametoolong`] if both are too long
    /// together.
    pub fn with_last_replaced(&self, target: &[u8]) -> Result<GuestPath, Errno> {
        // The target alone first: `/x` must not become a relative `dir//x`.
        let target = GuestPath::new(target)?;
        let mut bytes = Vec::with_capacity(self.bytes.len() + target.bytes.len());
        if let (Some(parent), _) = self.split_last() {
            bytes.extend_from_slice(parent);
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&target.bytes);
        if self.must_be_dir() && !target.must_be_dir() {
            bytes.push(b'/');
        }
        GuestPath::new(&bytes)
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestPath(\"{}\")", self.bytes.escape_ascii())
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// `.`: where one is.
    Here,
    /// `..`: the directory above.
    Up,
    /// A name.
    Name(Basename),
}

impl Component {
    /// What the bytes between two slashes of a checked path are.
    fn classify(bytes: &[u8]) -> Component {
        match bytes {
            b"." => Component::Here,
            b".." => Component::Up,
            _ => Component::Name(Basename(bytes.into())),
        }
    }
}

/// One component that is a name: not empty, not `.` or `..`, without slash and NUL, not longer than
/// [`MAX_COMPONENT`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Basename(Box<[u8]>);

impl Basename {
    /// Checks the bytes of a name.
    ///
    /// # Errors
    /// [`Errno::Nametoolong`] if it is too long, [`Errno::Inval`] if it is not a plain name.
    pub fn new(bytes: &[u8]) -> Result<Basename, Errno> {
        if bytes.len() > MAX_COMPONENT {
            return Err(Errno::Nametoolong);
        }
        if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
            return Err(Errno::Inval);
        }
        Ok(Basename(bytes.into()))
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Basename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text.as_bytes()).unwrap()
    }

    fn name(text: &str) -> Component {
        Component::Name(Basename::new(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_code_of_its_fault() {
        assert_eq!(GuestPath::new(b""), Err(Errno::Noent));
        assert_eq!(GuestPath::new(b"file\0"), Err(Errno::Inval));
        assert_eq!(GuestPath::new(b"a\0b"), Err(Errno::Inval));
        assert_eq!(GuestPath::new(b"/"), Err(Errno::Perm));
        assert_eq!(GuestPath::new(b"//a"), Err(Errno::Perm));
        assert_eq!(GuestPath::new(&[b'a'; 256]), Err(Errno::Nametoolong));
        assert!(GuestPath::new(&[b'a'; 255]).is_ok());
        assert!(GuestPath::new("a/".repeat(2047).as_bytes()).is_ok());
        assert_eq!(GuestPath::new("a/".repeat(2048).as_bytes()), Err(Errno::Nametoolong));
    }

    #[test]
    fn bytes_that_are_not_utf8_pass() {
        assert_eq!(GuestPath::new(b"a\xff").unwrap().as_bytes(), b"a\xff");
    }

    #[test]
    fn trailing_slashes_are_seen_and_are_no_components() {
        for (text, must_be_dir) in [("a", false), ("a/", true), ("a///", true), ("./", true), ("a/b", false)]
        {
            assert_eq!(path(text).must_be_dir(), must_be_dir, "{text}");
        }
        assert_eq!(path("a///").components().collect::<Vec<_>>(), [name("a")]);
    }

    #[test]
    fn nothing_is_collapsed() {
        let components: Vec<_> = path("a/.././/b/").components().collect();
        assert_eq!(components, [name("a"), Component::Up, Component::Here, name("b")]);
    }

    #[test]
    fn splitting_gives_parent_and_last_component() {
        assert_eq!(path("a").split_last(), (None, name("a")));
        assert_eq!(path("a//").split_last(), (None, name("a")));
        assert_eq!(path("a//b/").split_last(), (Some(&b"a/"[..]), name("b")));
        assert_eq!(path("a/..").split_last(), (Some(&b"a"[..]), Component::Up));
        assert_eq!(path("./").split_last(), (None, Component::Here));
    }

    #[test]
    fn a_link_is_replaced_by_its_target_and_slashes_on_either_side_stay() {
        let replaced = |path_text, target: &str| path(path_text).with_last_replaced(target.as_bytes());
        assert_eq!(replaced("l", "x"), Ok(path("x")));
        assert_eq!(replaced("d/l/", "../x"), Ok(path("d/../x/")));
        assert_eq!(replaced("d/l", "x/"), Ok(path("d/x/")));
        assert_eq!(replaced("d/l", "/x"), Err(Errno::Perm));
        assert_eq!(replaced(&"a/".repeat(2000), &"b/".repeat(100)), Err(Errno::Nametoolong));
    }

    #[test]
    fn a_basename_is_one_plain_name() {
        for refused in [&b""[..], b".", b"..", b"a/", b"/a", b"a/b", b"a\0"] {
            assert_eq!(Basename::new(refused), Err(Errno::Inval), "{}", refused.escape_ascii());
        }
        assert_eq!(Basename::new(&[b'a'; 256]), Err(Errno::Nametoolong));
        assert_eq!(Basename::new(b"...").unwrap().as_bytes(), b"...");
    }
}
