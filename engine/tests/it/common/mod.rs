//! Tests that run guest code run in every mode: `in_every_mode!` makes a test of each of its functions for each
//! way that an engine has to run them, called `jit::a_test_of_something`. One that is left out of the list is
//! dead code, which the lints notice.

#[cfg(target_os = "linux")]
pub mod alone;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod refuse;

use wasmrun::{Config, Engine, OptLevel, Strategy};

/// A way to run guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All of it in tier 0.
    Interp,
    /// All of it compiled to fast code.
    Jit,
    /// All of it compiled in little time.
    Quick,
    /// Every second function compiled, so that calls go from one tier to the other all the time.
    Mixed,
    /// The other half of the functions compiled: the calls go the other way.
    MixedOtherwise,
    /// Compiled while it runs, and at once: whatever is entered, and every loop that turns.
    Tiered,
    /// Changing its tier at random, at every entry and every turn of a loop.
    Chaos,
}

impl Mode {
    /// The default settings in this mode.
    pub fn config(self) -> Config {
        let mut config = Config::new();
        match self {
            Mode::Interp => config.strategy(Strategy::Interpreter),
            Mode::Jit => config.strategy(Strategy::Jit),
            Mode::Quick => config.strategy(Strategy::Jit).cranelift_opt_level(OptLevel::None),
            Mode::Mixed => config.strategy(Strategy::Jit).compile_only(|function| function % 2 == 1),
            Mode::MixedOtherwise => config.strategy(Strategy::Jit).compile_only(|function| function % 2 == 0),
            Mode::Tiered => config.strategy(Strategy::Tiered).tier_up_threshold(1).compile_threads(0),
            Mode::Chaos => config.strategy(Strategy::Tiered).chaos(1),
        };
        config
    }

    /// An engine with the default settings in this mode.
    pub fn engine(self) -> Engine {
        let engine = Engine::new(&self.config()).unwrap();
        // Where compiled code is to be had, a test of it is one.
        if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            assert_eq!(engine.no_compiled_code(), None, "{self:?}");
        }
        engine
    }
}

macro_rules! in_every_mode {
    (@one $name:ident $mode:ident: $($test:ident)*) => {
        mod $name {
            $(#[test] fn $test() -> impl std::process::Termination { super::$test(super::Mode::$mode) })*
        }
    };
    ($($test:ident)*) => {
        in_every_mode! { @one interp Interp: $($test)* }
        in_every_mode! { @one jit Jit: $($test)* }
        in_every_mode! { @one quick Quick: $($test)* }
        in_every_mode! { @one mixed Mixed: $($test)* }
        in_every_mode! { @one mixed_otherwise MixedOtherwise: $($test)* }
        in_every_mode! { @one tiered Tiered: $($test)* }
        in_every_mode! { @one chaos Chaos: $($test)* }
    };
}

pub(crate) use in_every_mode;
