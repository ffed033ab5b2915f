//! `compare`: programs × engines, in one table from one command.
//!
//! `programs` says what is run and `engines` by whom; `compare` runs it all, one process at a time, by way of
//! `measure`; `stats` computes and `report` prints, `cold` the table of waiting times. `curve` watches one program as it
//! goes, and `svg` draws that. See README.md for the options and the list's format.

mod cold;
mod compare;
mod curve;
mod engines;
mod error;
mod glob;
mod measure;
mod prelink;
mod programs;
mod report;
mod stats;
mod svg;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, thread};

use clap::Parser;

use engines::{Engine, Wanted};
use error::{Error, Result};
use report::{About, Comparison, Machine, Skipped};

/// Run programs under several engines and print what they cost.
#[derive(Parser, Debug)]
#[command(name = "compare")]
struct Options {
    /// Programs to run, by name; `*` and `?` stand for other characters [default: all; with --curve: curve]
    #[arg(value_name = "GLOB")]
    patterns: Vec<String>,
    /// An engine to run, and perhaps its command: wasmrun, wasmi, wasmtime, wasmrun-cold and wasmtime-cold (without
    /// their caches), node, or native (gcc -O2 of the same C). The first is compared with the others. COMMAND may
    /// have options behind it, separated by spaces, or be nothing but options; LABEL tells two of a kind apart
    /// [default: wasmrun, wasmi, wasmtime, native]
    #[arg(long = "engine", value_name = "[LABEL:]KIND[=COMMAND]", value_parser = Wanted::parse)]
    engines: Vec<Wanted>,
    /// A directory with further programs and a LIST.tsv that names them
    #[arg(long, value_name = "DIR")]
    suite: Vec<PathBuf>,
    /// How many runs of each count; programs that only start get four times as many
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// How much CPU time one run may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
    /// Measure how long one waits for programs that no engine has in a cache, and mark those for which the first
    /// engine takes more than 1.10 times as long as the best of the others and 5 ms [default engines: wasmrun,
    /// wasmtime and wasmi without caches, node]
    #[arg(long, conflicts_with = "curve")]
    cold: bool,
    /// Draw how much work of one program is done so long after the start of the process, into this file of SVG
    /// [default engines: wasmrun's modes, wasmtime, wasmi, node]
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// For how long a curve is watched
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = seconds, requires = "curve")]
    seconds: f64,
    /// Print the table as JSON, with every single run
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the table as CSV
    #[arg(long)]
    csv: bool,
    /// Print the names of the programs, and run none
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    if let Some(code) = measure::serve() {
        return code;
    }
    match run(&Options::parse()) {
        Ok(output) => {
            print!("{output}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<String> {
    let programs = programs(options)?;
    if options.list {
        return Ok(programs.iter().map(|program| format!("{}\n", program.name)).collect());
    }
    let unasked = match options {
        Options { cold: true, .. } => engines::COLD,
        Options { curve: Some(_), .. } => engines::CURVES,
        _ => engines::USUAL,
    };
    let (engines, skipped) = engines(&options.engines, unasked)?;
    let scratch = tempfile::tempdir().map_err(Error::io("create a directory in", &std::env::temp_dir()))?;
    let plan = compare::Plan { runs: options.runs as usize, limit: options.limit };
    let machine = machine();
    if let Some(path) = &options.curve {
        let program = only(&programs)?;
        let seconds = options.seconds;
        let curves = curve::curves(program, &engines, plan.runs, seconds, scratch.path())?;
        let program = program.name.clone();
        let curves = curve::Curves { machine, program, seconds, runs: plan.runs, curves, skipped };
        fs::write(path, svg::draw(&curves)).map_err(Error::io("write", path))?;
        return match options {
            Options { json: true, .. } => json(serde_json::to_string_pretty(&curves)),
            Options { csv: true, .. } => Ok(curves.csv()),
            _ => Ok(curves.text()),
        };
    }
    let mut rows = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        eprintln!("{}/{} {}", index + 1, programs.len(), program.name);
        rows.push(compare::row(program, &engines, plan, scratch.path())?);
    }
    let engines = engines.iter().map(About::of).collect();
    let comparison = Comparison { machine, runs: plan.runs, cold: options.cold, engines, skipped, rows };
    if options.json {
        return json(comparison.json());
    }
    Ok(if options.csv { comparison.csv() } else { comparison.text() })
}

fn json(text: serde_json::Result<String>) -> Result<String> {
    text.map(|json| json + "\n").map_err(|error| Error::Usage(format!("cannot write JSON: {error}")))
}

/// The value of `--seconds`.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(seconds @ 0.01..=3600.0) => Ok(seconds),
        _ => Err("must be a number of seconds from 0.01 to 3600".to_owned()),
    }
}

/// The program of a drawing.
fn only(programs: &[programs::Program]) -> Result<&programs::Program> {
    match programs {
        [program] => Ok(program),
        _ => {
            let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
            Err(Error::Usage(format!(
                "a drawing is of one program, and these are more: {}",
                names.join(", ")
            )))
        }
    }
}

/// Ours, and those of the suites that have no name of ours. The one for drawings is there if there is one.
fn programs(options: &Options) -> Result<Vec<programs::Program>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().unwrap_or(manifest);
    let mut all = programs::ours(root)?;
    let mut patterns = options.patterns.clone();
    if options.curve.is_some() {
        let curve = programs::curve(root);
        if patterns.is_empty() && !options.list {
            patterns.push(curve.name.clone());
        }
        all.push(curve);
    }
    for dir in &options.suite {
        let dir = fs::canonicalize(dir).map_err(Error::io("find", dir))?;
        let (doubles, new): (Vec<_>, Vec<_>) = programs::suite(&dir)?
            .into_iter()
            .partition(|program| all.iter().any(|other| other.name == program.name));
        if !doubles.is_empty() {
            let names: Vec<&str> = doubles.iter().map(|program| program.name.as_str()).collect();
            eprintln!("{}: left out, because their names are taken: {}", dir.display(), names.join(", "));
        }
        all.extend(new);
    }
    programs::select(all, &patterns)
}

/// The engines that are there, and why the others are not.
fn engines(wanted: &[Wanted], unasked: &[&str]) -> Result<(Vec<Engine>, Vec<Skipped>)> {
    let wanted = if wanted.is_empty() {
        unasked
            .iter()
            .map(|text| Wanted::parse(text))
            .collect::<std::result::Result<_, _>>()
            .map_err(Error::Usage)?
    } else {
        wanted.to_vec()
    };
    let (mut engines, mut skipped) = (Vec::<Engine>::new(), Vec::new());
    for wanted in &wanted {
        if engines.iter().any(|engine| engine.label == wanted.label) {
            let label = &wanted.label;
            return Err(Error::Usage(format!(
                "two engines are called `{label}`; LABEL:KIND gives one another name"
            )));
        }
        match Engine::find(wanted) {
            Ok(engine) => engines.push(engine),
            Err(reason) => {
                eprintln!("{}: skipped: {reason}", wanted.label);
                skipped.push(Skipped { label: wanted.label.clone(), reason });
            }
        }
    }
    if engines.is_empty() {
        return Err(Error::Usage("none of the engines is there".to_owned()));
    }
    Ok((engines, skipped))
}

fn machine() -> Machine {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = file("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim());
    Machine {
        cpu: model.unwrap_or(std::env::consts::ARCH).to_owned(),
        threads: thread::available_parallelism().map_or(1, usize::from),
        load: file("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
    }
}
