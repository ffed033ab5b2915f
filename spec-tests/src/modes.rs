//! The ways to run guest code, each of which has to do the same: the one list that the official suite, the
//! comparisons and the hostile modules go through.

use wasmrun::{Config, MemoryStrategy, OptLevel, Strategy};

/// A way to run guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the interpreter alone.
    Interp,
    /// Compiled to fast code.
    Jit,
    /// Compiled in little time.
    Quick,
    /// The same, with memories whose every access is compared with their length.
    Checked,
    /// Every second function compiled, so that calls go from one tier to the other all the time.
    Mixed,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 5] = [Mode::Interp, Mode::Jit, Mode::Quick, Mode::Checked, Mode::Mixed];

    /// Its name on the command line, where it has one, and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Interp => "interp",
            Mode::Jit => "jit",
            Mode::Quick => "quick",
            Mode::Checked => "checked",
            Mode::Mixed => "mixed",
        }
    }

    /// The mode that a name stands for.
    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Makes `config` ask for it.
    pub fn choose(self, config: &mut Config) -> &mut Config {
        match self {
            Mode::Interp => config.strategy(Strategy::Interpreter),
            Mode::Jit => config.strategy(Strategy::Jit),
            Mode::Quick => config.strategy(Strategy::Jit).cranelift_opt_level(OptLevel::None),
            Mode::Checked => Mode::Quick.choose(config).memory_strategy(MemoryStrategy::Checked),
            Mode::Mixed => config.strategy(Strategy::Jit).compile_only(|function| function % 2 == 1),
        }
    }

    /// The default settings with it.
    pub fn config(self) -> Config {
        let mut config = Config::new();
        self.choose(&mut config);
        config
    }
}
