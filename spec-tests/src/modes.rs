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
    /// Compiled to fast code, for memories whose every access is compared with their length.
    Checked,
    /// Every second function compiled, so that calls go from one tier to the other all the time; memories as in
    /// `Checked`.
    Mixed,
    /// Compiled while it runs, by other threads, when it is a little warm, and as fast as it can be: as in the command.
    Background,
    /// Compiled while it runs, and at once: whatever is entered, and every loop that turns.
    Tiered,
    /// Changing its tier at random, at every entry and every turn of a loop.
    Chaos,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 8] = [
        Mode::Interp,
        Mode::Jit,
        Mode::Quick,
        Mode::Checked,
        Mode::Mixed,
        Mode::Background,
        Mode::Tiered,
        Mode::Chaos,
    ];

    /// Its name on the command line, where it has one, and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Interp => "interp",
            Mode::Jit => "jit",
            Mode::Quick => "quick",
            Mode::Checked => "checked",
            Mode::Mixed => "mixed",
            Mode::Background => "background",
            Mode::Tiered => "tiered",
            Mode::Chaos => "chaos",
        }
    }

    /// All of them, or those that `WASMRUN_MODES` names, separated by commas.
    pub fn selected() -> Vec<Mode> {
        match std::env::var("WASMRUN_MODES") {
            Ok(names) => {
                let named = |name| Mode::named(name).unwrap_or_else(|| panic!("there is no mode `{name}`"));
                names.split(',').map(named).collect()
            }
            Err(_) => Mode::ALL.into(),
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
            // As in the command without a timeout.
            Mode::Quick => {
                config.strategy(Strategy::Jit).cranelift_opt_level(OptLevel::None).interruptible(false)
            }
            // Collections wherever there may be one, as well.
            Mode::Checked => {
                Mode::Jit.choose(config).memory_strategy(MemoryStrategy::Checked).gc_stress(true)
            }
            Mode::Mixed => Mode::Checked.choose(config).compile_only(|function| function % 2 == 1),
            Mode::Background => config.strategy(Strategy::Tiered).tier_up_threshold(20).interruptible(false),
            // The same here.
            Mode::Chaos => {
                config.strategy(Strategy::Tiered).cranelift_opt_level(OptLevel::None).chaos(1).gc_stress(true)
            }
            Mode::Tiered => config.strategy(Strategy::Tiered).tier_up_threshold(1).compile_threads(0),
        }
    }

    /// The default settings with it.
    pub fn config(self) -> Config {
        let mut config = Config::new();
        self.choose(&mut config);
        config
    }
}
