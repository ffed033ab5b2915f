//! Runs every program under every engine and keeps what it cost.
//!
//! The engines take turns (A B C, A B C, …), so that a minute in which the machine is slow is slow for all of
//! them. Before that comes one round that does not count: it fills the file cache, and Wasmtime's own. Never do
//! two processes of ours run at once.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;

use crate::engines::{Engine, Kind};
use crate::error::{Error, Result};
use crate::measure::{self, Run, Streams};
use crate::prelink::prelink;
use crate::programs::Program;
use crate::stats::{Overall, Summary, ratio};

/// A program that only starts is over before a few runs say anything, and takes no time: it gets this many times
/// as many.
const STARTS: usize = 4;

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many runs count.
    pub runs: usize,
    /// How many seconds of CPU time a run may take.
    pub limit: u64,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The program.
    pub program: String,
    /// Whether it measures starting.
    pub start: bool,
    /// Whether the engines agree.
    pub stdout: Verdict,
    /// One for each engine, in their order.
    pub cells: Vec<Cell>,
}

/// What one engine did with one program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Nothing: there is no such program for it.
    Absent,
    /// It failed, and how.
    Failed(String),
    /// It ran.
    Measured(Measured),
}

/// What the runs of one program under one engine cost.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Seconds of CPU time.
    pub cpu: Summary,
    /// Seconds of real time.
    pub wall: Summary,
    /// Peak resident bytes.
    pub peak: Summary,
    /// All of them, in order.
    pub runs: Vec<Run>,
}

impl Measured {
    /// Sums up; `None` if there is no run.
    pub fn of(runs: Vec<Run>) -> Option<Self> {
        Some(Self {
            cpu: Summary::of(runs.iter().map(Run::cpu))?,
            wall: Summary::of(runs.iter().map(|run| run.wall))?,
            peak: Summary::of(runs.iter().map(|run| run.peak as f64))?,
            runs,
        })
    }
}

impl Cell {
    /// The measurements, if there are any.
    pub fn measured(&self) -> Option<&Measured> {
        match self {
            Self::Measured(measured) => Some(measured),
            Self::Absent | Self::Failed(_) => None,
        }
    }
}

impl Row {
    /// The CPU time of the first engine in units of that of engine `other`.
    pub fn ratio(&self, other: usize) -> Option<f64> {
        let cpu = |engine: usize| Some(self.cells.get(engine)?.measured()?.cpu.median);
        ratio(cpu(0)?, cpu(other)?)
    }
}

/// The first engine against engine `other`, over all programs that both ran and that do not only start.
pub fn overall(rows: &[Row], other: usize) -> Option<Overall> {
    let rows = rows.iter().filter(|row| !row.start);
    Overall::of(rows.filter_map(|row| Some((row.program.as_str(), row.ratio(other)?))))
}

/// What there is to say of the outputs of one program.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All the same.
    Same,
    /// There are no two to compare.
    Alone,
    /// They hold timings.
    Varies,
    /// An engine did not give the same output twice; which.
    Unsteady(String),
    /// Engines differ; who agrees with whom.
    Differs(String),
}

impl Verdict {
    /// Judges the hashes of the outputs of each engine by its label.
    pub fn of(varies: bool, outputs: &[(&str, Vec<u64>)]) -> Self {
        if varies {
            return Self::Varies;
        }
        let unsteady: Vec<&str> = outputs
            .iter()
            .filter(|(_, hashes)| hashes.windows(2).any(|w| w[0] != w[1]))
            .map(|o| o.0)
            .collect();
        if !unsteady.is_empty() {
            return Self::Unsteady(unsteady.join(", "));
        }
        let mut groups: Vec<(u64, Vec<&str>)> = Vec::new();
        for (label, hashes) in outputs {
            let Some(&hash) = hashes.first() else { continue };
            match groups.iter_mut().find(|(other, _)| *other == hash) {
                Some((_, labels)) => labels.push(label),
                None => groups.push((hash, vec![label])),
            }
        }
        match &groups[..] {
            [(_, labels)] if labels.len() > 1 => Self::Same,
            [] | [_] => Self::Alone,
            _ => Self::Differs(groups.iter().map(|(_, l)| l.join(", ")).collect::<Vec<_>>().join(" ≠ ")),
        }
    }
}

/// Runs `program` under all engines.
pub fn row(program: &Program, engines: &[Engine], plan: Plan, scratch: &Path) -> Result<Row> {
    let wasm = module(program, scratch)?;
    let (stdout, stderr) = (scratch.join("stdout"), scratch.join("stderr"));
    let mut turns = Vec::new();
    for engine in engines {
        let invocation = engine.invocation(program, &wasm, scratch)?;
        turns.push(Turn { invocation, runs: Vec::new(), hashes: Vec::new(), failure: None });
    }
    let rounds = 1 + plan.runs * if program.measures_start() { STARTS } else { 1 };
    for round in 0..rounds {
        for turn in &mut turns {
            let (Some(invocation), None) = (&turn.invocation, &turn.failure) else { continue };
            let run = measure::run(invocation, Streams { stdout: &stdout, stderr: &stderr }, plan.limit)?;
            if let Some(failure) = run.failure() {
                turn.failure = Some(format!("{failure}{}", last_words(&stderr)));
                continue;
            }
            turn.hashes.push(hash_file(&stdout).map_err(Error::io("read", &stdout))?);
            if round > 0 {
                turn.runs.push(run);
            }
        }
    }
    // Native code is left out: its C library is another, whose sine may differ in the last bit.
    let compared =
        engines.iter().zip(&turns).filter(|(e, turn)| e.kind != Kind::Native && turn.failure.is_none());
    let outputs: Vec<_> =
        compared.map(|(engine, turn)| (engine.label.as_str(), turn.hashes.clone())).collect();
    let stdout = Verdict::of(program.output_varies, &outputs);
    let cells = turns.into_iter().map(Turn::cell).collect();
    Ok(Row { program: program.name.clone(), start: program.measures_start(), stdout, cells })
}

/// What one engine has done so far with one program.
struct Turn {
    invocation: Option<measure::Invocation>,
    runs: Vec<Run>,
    hashes: Vec<u64>,
    failure: Option<String>,
}

impl Turn {
    fn cell(self) -> Cell {
        match self.failure {
            Some(failure) => Cell::Failed(failure),
            None => Measured::of(self.runs).map_or(Cell::Absent, Cell::Measured),
        }
    }
}

/// The module to run: the program's own, or a pre-linked copy.
pub fn module(program: &Program, scratch: &Path) -> Result<PathBuf> {
    if !program.marks {
        return fs::canonicalize(&program.wasm).map_err(Error::io("find", &program.wasm));
    }
    let wasm = fs::read(&program.wasm).map_err(Error::io("read", &program.wasm))?;
    let linked = prelink(&wasm).map_err(|reason| Error::Prelink { path: program.wasm.clone(), reason })?;
    let path = scratch.join(format!("{}.wasm", program.name));
    fs::write(&path, linked).map_err(Error::io("write", &path))?;
    Ok(path)
}

/// The end of what a failed command said, to be put behind the reason.
pub fn last_words(stderr: &Path) -> String {
    let bytes = fs::read(stderr).unwrap_or_default();
    let tail = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(400)..]).into_owned();
    let words: Vec<&str> = tail.split_whitespace().collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) }
}

/// FNV-1a, 64 bits: it tells a wrong output from a right one, and is the same on every machine.
fn hash_file(path: &Path) -> io::Result<u64> {
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    Ok(fs::read(path)?.iter().fold(0xCBF2_9CE4_8422_2325, fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_agree_when_all_engines_wrote_the_same_every_time() {
        assert_eq!(Verdict::of(false, &[("a", vec![1, 1]), ("b", vec![1, 1])]), Verdict::Same);
        assert_eq!(Verdict::of(false, &[("a", vec![1, 1]), ("b", vec![])]), Verdict::Alone);
        assert_eq!(Verdict::of(false, &[]), Verdict::Alone);
    }

    #[test]
    fn a_different_output_names_who_agrees_with_whom() {
        let verdict = Verdict::of(false, &[("a", vec![2]), ("b", vec![1]), ("c", vec![1])]);
        assert_eq!(verdict, Verdict::Differs("a ≠ b, c".to_owned()));
    }

    #[test]
    fn an_output_that_changes_from_run_to_run_is_not_taken_for_a_mismatch_of_engines() {
        let outputs = [("a", vec![1, 2]), ("b", vec![1, 1])];
        assert_eq!(Verdict::of(false, &outputs), Verdict::Unsteady("a".to_owned()));
        assert_eq!(Verdict::of(true, &outputs), Verdict::Varies);
    }

    #[test]
    fn programs_that_only_start_or_that_one_side_failed_are_not_in_the_geomean() {
        let cell =
            |cpu: f64| Cell::Measured(Measured::of(vec![Run { user: cpu, ..Run::default() }]).unwrap());
        let row = |program: &str, start, cells| Row {
            program: program.to_owned(),
            start,
            stdout: Verdict::Same,
            cells,
        };
        let rows = [
            row("hello", true, vec![cell(9.0), cell(1.0)]),
            row("a", false, vec![cell(1.0), cell(2.0)]),
            row("b", false, vec![cell(1.0), Cell::Failed("x".to_owned())]),
            row("c", false, vec![Cell::Absent, cell(1.0)]),
        ];
        let overall = overall(&rows, 1).unwrap();
        assert_eq!((overall.geomean, overall.programs), (0.5, 1));
    }
}
