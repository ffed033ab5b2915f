//! What became of the functions of a module in the tiers: for `explain --tiers`, which compiles all of them, and for
//! [`run --stats`](crate::stats), which tells of a run.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use wasmrun::{FunctionTier, Module};

use crate::args::RunArgs;
use crate::errors::Outcome;
use crate::time_limit::TimeLimit;
use crate::wording::{plural, shown};
use crate::{load, output};

/// The functions that a table shows; JSON has all of them.
const SHOWN: usize = 40;

/// All that is known. The names of the fields are those of the JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Functions that the module defines.
    pub functions: usize,
    /// Those of them that run compiled code.
    pub compiled: usize,
    /// Those of these whose code was in the cache.
    pub from_cache: usize,
    /// Loops with code of their own.
    pub loops: u32,
    /// Bytes of machine code that has been compiled.
    pub code_size: u64,
    /// Milliseconds that compiling has taken, on all threads together.
    pub compile_ms: f64,
    /// Each function, in the order of the module.
    pub tiers: Vec<Row>,
}

/// A function.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its index in the module.
    pub function: u32,
    /// Its name, if the module says so.
    pub name: Option<String>,
    /// Bytes of its body.
    pub body: u32,
    /// `compiled` or `interpreter`.
    pub tier: &'static str,
    /// Whether its code was in the cache.
    pub from_cache: bool,
    /// How often the interpreter has executed it, or as much code: from samples.
    pub executions: u32,
    /// Its loops with code of their own.
    pub loops: u32,
    /// Milliseconds that compiling has taken.
    pub compile_ms: Option<f64>,
    /// Bytes of machine code that has been compiled.
    pub code_size: Option<u32>,
    /// Why it is not compiled, if it cannot be.
    pub reason: Option<String>,
}

/// As a number for JSON.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

impl Report {
    /// What is known of a module now.
    pub fn of(module: &Module) -> Report {
        let tiers = module.tiers();
        Report {
            functions: tiers.len(),
            compiled: tiers.iter().filter(|tier| tier.compiled).count(),
            from_cache: tiers.iter().filter(|tier| tier.from_cache).count(),
            loops: tiers.iter().map(|tier| tier.loops).sum(),
            code_size: tiers.iter().filter_map(|tier| tier.code_size).map(u64::from).sum(),
            compile_ms: milliseconds(tiers.iter().filter_map(|tier| tier.compile_time).sum()),
            tiers: tiers.into_iter().map(Row::from).collect(),
        }
    }

    /// As a table: those functions first that have cost or run most.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}, {} compiled ({} from the cache) and {}, in {:.1} ms to {} of code\n",
            plural(self.functions as u64, "function"),
            self.compiled,
            self.from_cache,
            plural(self.loops.into(), "loop"),
            self.compile_ms,
            plural(self.code_size, "byte")
        );
        let mut rows: Vec<&Row> = self.tiers.iter().filter(|row| row.says_something()).collect();
        rows.sort_by_key(|row| (row.reason.is_none(), std::cmp::Reverse((row.code_size, row.executions))));
        if rows.is_empty() {
            return text;
        }
        let _ = writeln!(
            text,
            "{:>8} {:<11} {:>8} {:>8} {:>10} {:>5} {:>9}  name",
            "function", "tier", "body", "code", "executions", "loops", "ms"
        );
        for row in rows.iter().take(SHOWN) {
            let dash = || "-".to_owned();
            let _ = write!(
                text,
                "{:>8} {:<11} {:>8} {:>8} {:>10} {:>5} {:>9}  {}",
                row.function,
                if row.from_cache { "cached" } else { row.tier },
                row.body,
                row.code_size.map_or_else(dash, |size| size.to_string()),
                row.executions,
                row.loops,
                row.compile_ms.map_or_else(dash, |ms| format!("{ms:.2}")),
                row.name.as_ref().map_or_else(dash, shown),
            );
            if let Some(reason) = &row.reason {
                let _ = write!(text, "  (not compiled: {})", shown(reason));
            }
            text.push('\n');
        }
        if rows.len() > SHOWN {
            let _ = writeln!(text, "and {} more; JSON has all of them", rows.len() - SHOWN);
        }
        text
    }
}

impl Row {
    /// Whether anything has happened to it.
    fn says_something(&self) -> bool {
        self.code_size.is_some() || self.executions > 0 || self.reason.is_some()
    }
}

impl From<FunctionTier> for Row {
    fn from(tier: FunctionTier) -> Row {
        Row {
            function: tier.function,
            name: tier.name,
            body: tier.body,
            tier: if tier.compiled { "compiled" } else { "interpreter" },
            from_cache: tier.from_cache,
            executions: tier.executions,
            loops: tier.loops,
            compile_ms: tier.compile_time.map(milliseconds),
            code_size: tier.code_size,
            reason: tier.reason,
        }
    }
}

/// `explain --tiers`: compiles all functions of a module, and shows what came of it.
pub fn explain(run: &RunArgs, json: bool) -> Outcome {
    let report = Report::of(&load::compiled_module(run, &TimeLimit::starting_now(run.options.timeout))?);
    if json { output::print_json(&report) } else { output::print(&report.text()) }
}
