//! Where a path leads: what the resolvers and the tree in memory find, and whether they follow a final link on the way.

use crate::vfs::path::Basename;

/// A place in a tree: where something is, or could be. `D` is how a backend refers to a directory.
#[derive(Debug)]
pub(crate) enum Place<D> {
    /// A name in a directory.
    Named {
        /// The directory.
        dir: D,
        /// The name in it.
        name: Basename,
        /// Whether slashes came after it, in the path or in the target of the last link followed.
        must_be_dir: bool,
    },
    /// A directory reached by a last component that is no name.
    Dots {
        /// The directory.
        dir: D,
        /// Whether the component was `..` and not `.`.
        up: bool,
    },
}

impl<D> Place<D> {
    /// Whether only a directory may be here.
    pub(crate) fn must_be_dir(&self) -> bool {
        matches!(self, Place::Dots { .. } | Place::Named { must_be_dir: true, .. })
    }
}

/// What becomes of a symbolic link that is the last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// It is what the path names.
    No,
    /// It is followed.
    Yes,
    /// As `Yes`, for opening something that may have to be created: with slashes after it nothing is followed, since a
    /// file cannot be created there anyway. (Linux decides so, on the way, before it looks what is there.)
    ToCreate,
}

impl Follow {
    /// What `open` does, given what is asked of it and whether the path ends in slashes.
    pub(crate) const fn to_open(follow: bool, create: bool, exclusive: bool, must_be_dir: bool) -> Follow {
        match (create, exclusive) {
            (true, true) => Follow::No,
            (true, false) if follow => Follow::ToCreate,
            (false, _) if follow || must_be_dir => Follow::Yes,
            _ => Follow::No,
        }
    }

    /// Whether a link with or without slashes after it is followed.
    pub(crate) const fn follows(self, must_be_dir: bool) -> bool {
        match self {
            Follow::No => false,
            Follow::Yes => true,
            Follow::ToCreate => !must_be_dir,
        }
    }
}

impl From<bool> for Follow {
    fn from(follow: bool) -> Follow {
        if follow { Follow::Yes } else { Follow::No }
    }
}
