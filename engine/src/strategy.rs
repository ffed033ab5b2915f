//! What the host chooses: which tiers run its guests, and how much time goes into compiled code.

use wasmrun_jit::compile::Mode;

/// How an engine runs guest code.
///
/// ```
/// use wasmrun::{Config, Engine, Strategy};
///
/// let mut config = Config::new();
/// config.strategy(Strategy::Jit);
/// let engine = Engine::new(&config)?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// All of it in tier 0, which starts at once.
    Interpreter,
    /// All functions of a module are compiled when it is made. Those that cannot be compiled, and all of them
    /// where the system allows no compiled code (see
    /// [`Engine::no_compiled_code`](crate::Engine::no_compiled_code)), run in tier 0.
    Jit,
    /// All functions start in tier 0. Those that run often are compiled meanwhile, on other threads, and loops that
    /// run long go on in compiled code. What `Jit` says of functions without compiled code holds here too.
    #[default]
    Tiered,
}

/// How much time the compiler takes for its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptLevel {
    /// As little as possible: code that is there in half the time, twice as large and half as fast.
    None,
    /// What fast code takes.
    #[default]
    Speed,
}

impl OptLevel {
    /// The compiler's word for it.
    pub(crate) fn mode(self) -> Mode {
        match self {
            OptLevel::None => Mode::Quick,
            OptLevel::Speed => Mode::Speed,
        }
    }
}
