//! Which resolver follows the paths of a directory.
//!
//! That is decided once per process, by trying: a resolver that has been chosen is never left for the other one in the
//! middle of things, since conditions that a guest can provoke would then choose for us.

use super::resolve::Resolver;
use super::walker::Walker;
use crate::errno::Errno;

/// Which resolver to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResolverChoice {
    /// The kernel's if it has one, else the one of this crate. With `WASI_FORCE_WALKER=1` in the host's environment when
    /// the process first asks, always that one.
    #[default]
    Best,
    /// The one of this crate.
    Walker,
}

/// The resolver for `choice`, which stays on one file system if `one_device` says so.
///
/// # Errors
/// [`Errno::Notsup`] if `one_device` is asked for and only the resolver of this crate is there, which cannot do that.
pub(super) fn resolver(choice: ResolverChoice, one_device: bool) -> Result<&'static dyn Resolver, Errno> {
    if choice == ResolverChoice::Best && kernel_resolves() {
        use super::openat2::Openat2;
        return Ok(if one_device { &Openat2::ONE_DEVICE } else { &Openat2::ANY_DEVICE });
    }
    if one_device { Err(Errno::Notsup) } else { Ok(&Walker) }
}

/// Whether the kernel resolves paths for us, found out once.
fn kernel_resolves() -> bool {
    use std::env;
    use std::sync::OnceLock;

    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let forced = env::var_os("WASI_FORCE_WALKER").is_some_and(|value| value == "1");
        !forced && super::openat2::works()
    })
}
