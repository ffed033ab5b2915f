//! Start-up curves: how much work is done so long after the engine's process was started.
//!
//! The program says itself how far it is: each line that it prints starts with the number of units done so far, and
//! is stamped with the time at which it arrives at our end of the pipe. So one run gives a whole curve, and the
//! engine is not asked to tell the time. A run is stopped when its time is up.
//!
//! As in the table of CPU time the engines take turns, and the first round does not count.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fs::File, thread};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use crate::compare::{last_words, module};
use crate::engines::{Engine, Kind};
use crate::error::{Error, Result};
use crate::measure::Invocation;
use crate::programs::Program;
use crate::report::{About, Machine, Skipped, aligned};
use crate::stats::Summary;

/// The times at which the text says how far each engine is, in seconds.
const STATIONS: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

/// All curves of one program.
#[derive(Debug, Serialize)]
pub struct Curves {
    /// On which machine.
    pub machine: Machine,
    /// What was run.
    pub program: String,
    /// For how long.
    pub seconds: f64,
    /// How many runs count.
    pub runs: usize,
    /// One for each engine.
    pub curves: Vec<Curve>,
    /// Who did not take part.
    pub skipped: Vec<Skipped>,
}

/// How one engine got on.
#[derive(Debug, Serialize)]
pub struct Curve {
    /// Who.
    #[serde(flatten)]
    pub about: About,
    /// Whether it is a wasmrun.
    pub ours: bool,
    /// How far it was, when. Both rise.
    pub points: Vec<Point>,
    /// What went wrong.
    pub failure: Option<String>,
}

/// A line that the program printed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// How many units were done.
    pub units: u64,
    /// How many seconds after the start of the process it arrived.
    pub seconds: Summary,
}

impl Curve {
    /// How many units were done at a time: even progress between two lines, and behind the last one at the last
    /// pace. `None` before the first.
    fn units_at(&self, seconds: f64) -> Option<f64> {
        let at = |point: &Point| (point.seconds.median, point.units as f64);
        let next = self.points.partition_point(|point| point.seconds.median <= seconds);
        let (t1, u1) = at(self.points.get(next.checked_sub(1)?)?);
        let second = if next < self.points.len() { Some(next) } else { next.checked_sub(2) };
        let Some((t2, u2)) = second.and_then(|index| self.points.get(index)).map(at) else { return Some(u1) };
        let pace = if t1 == t2 { 0.0 } else { (u2 - u1) / (t2 - t1) };
        Some(u1 + pace * (seconds - t1))
    }
}

/// Runs `program` under all engines, `runs` times and once more, for `seconds` each time.
pub fn curves(
    program: &Program,
    engines: &[Engine],
    runs: usize,
    seconds: f64,
    scratch: &Path,
) -> Result<Vec<Curve>> {
    let wasm = module(program, scratch)?;
    let stderr = scratch.join("stderr");
    let span = Duration::from_secs_f64(seconds);
    let mut turns = Vec::new();
    for engine in engines {
        let invocation = engine.invocation(program, &wasm, scratch)?;
        let failure = invocation.is_none().then(|| "has no such program".to_owned());
        turns.push((invocation, Vec::new(), failure));
    }
    let mut said: Vec<String> = Vec::new();
    for round in 0..=runs {
        for (engine, (invocation, watched, failure)) in engines.iter().zip(&mut turns) {
            let (Some(invocation), None) = (&invocation, &failure) else { continue };
            eprintln!("{round}/{runs} {}", engine.label);
            let seen = watch(invocation, &stderr, span)?;
            *failure = seen.failure.or_else(|| check(&mut said, &seen.lines));
            if round > 0 {
                watched.push(seen.lines);
            }
        }
    }
    let curve = |(engine, (_, watched, failure)): (&Engine, (_, Vec<Vec<Line>>, Option<String>))| Curve {
        about: About::of(engine),
        ours: matches!(engine.kind, Kind::Wasmrun | Kind::WasmrunCold),
        // What failed is not to be trusted before that either.
        points: if failure.is_none() { points(&watched) } else { Vec::new() },
        failure,
    };
    Ok(engines.iter().zip(turns).map(curve).collect())
}

/// A line of output.
#[derive(Debug)]
struct Line {
    /// When it came.
    elapsed: Duration,
    text: String,
}

impl Line {
    /// How many units it says are done.
    fn units(&self) -> Option<u64> {
        self.text.split_whitespace().next()?.parse().ok()
    }
}

/// What one run did.
struct Watched {
    lines: Vec<Line>,
    failure: Option<String>,
}

/// Runs a command until it ends or `span` is over, and notes when each line comes.
fn watch(invocation: &Invocation, stderr: &Path, span: Duration) -> Result<Watched> {
    let [name, args @ ..] = &invocation.command[..] else {
        return Err(Error::Measure("no command".to_owned()));
    };
    let (name, words) = (Path::new(name), File::create(stderr).map_err(Error::io("create", stderr))?);
    let mut command = Command::new(name);
    // A group of its own, so that an engine that is started by a script is stopped as well.
    command
        .process_group(0)
        .args(args)
        .current_dir(&invocation.cwd)
        .envs(invocation.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(words);
    let start = Instant::now();
    let mut child = command.spawn().map_err(Error::io("start", name))?;
    let Some(stdout) = child.stdout.take() else {
        return Err(Error::Measure("its stdout cannot be read".to_owned()));
    };
    let (send, receive) = mpsc::channel();
    let reader = thread::spawn(move || {
        for text in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            if send.send(Line { elapsed: start.elapsed(), text }).is_err() {
                break;
            }
        }
    });
    let mut lines = Vec::new();
    let stopped = loop {
        match receive.recv_timeout(span.saturating_sub(start.elapsed())) {
            Ok(line) if line.elapsed <= span => lines.push(line),
            Ok(_) | Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    drop(receive);
    if stopped {
        // It may have ended by itself just now, and then has an end of its own.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().map_err(Error::io("wait for", name))?;
    let _ = reader.join();
    let failed = !stopped && !status.success();
    let failure = failed.then(|| format!("{status}{}", last_words(stderr)));
    Ok(Watched { lines, failure })
}

/// What is wrong with the lines: others said something else, or they say nothing. What is right goes to what was
/// `said`.
fn check(said: &mut Vec<String>, lines: &[Line]) -> Option<String> {
    for (index, line) in lines.iter().enumerate() {
        match said.get(index) {
            Some(other) if *other != line.text => {
                return Some(format!("printed `{}` where `{other}` had been printed before", line.text));
            }
            Some(_) => {}
            None => said.push(line.text.clone()),
        }
    }
    let none = lines.iter().all(|line| line.units().is_none());
    none.then(|| "printed no line that starts with a number in its time".to_owned())
}

/// The lines that most runs reached.
fn points(watched: &[Vec<Line>]) -> Vec<Point> {
    let Some(longest) = watched.iter().max_by_key(|lines| lines.len()) else { return Vec::new() };
    let mut points: Vec<Point> = Vec::new();
    for (index, line) in longest.iter().enumerate() {
        let times = watched.iter().filter_map(|lines| Some(lines.get(index)?.elapsed.as_secs_f64()));
        let enough = times.clone().count() * 2 > watched.len();
        let (Some(units), true, Some(seconds)) = (line.units(), enough, Summary::of(times)) else { continue };
        // The median of fewer runs may be earlier than that of more.
        if points.last().is_none_or(|last| last.units < units && last.seconds.median <= seconds.median) {
            points.push(Point { units, seconds });
        }
    }
    points
}

impl Curves {
    /// As a table: how far everyone was at some times.
    pub fn text(&self) -> String {
        let stations: Vec<f64> = STATIONS.iter().copied().filter(|&time| time <= self.seconds).collect();
        let mut table = vec![vec!["engine".to_owned(), "first ms".to_owned()]];
        table[0].extend(stations.iter().map(|&time| match time {
            time if time < 1.0 => format!("{:.0} ms", time * 1e3),
            time => format!("{time:.0} s"),
        }));
        for curve in self.curves.iter().filter(|curve| !curve.points.is_empty()) {
            let first = curve.points.first();
            let mut line = vec![
                curve.about.label.clone(),
                first.map_or("-".to_owned(), |first| format!("{:.1}", first.seconds.median * 1e3)),
            ];
            let units = stations.iter().map(|&time| curve.units_at(time));
            line.extend(units.map(|units| units.map_or("-".to_owned(), |units| format!("{units:.0}"))));
            table.push(line);
        }
        let runs =
            if self.runs == 1 { "one run".to_owned() } else { format!("median of {} runs", self.runs) };
        let mut out =
            format!("{}: units done by so long after the start of the process, {runs}\n", self.program);
        if let [subject, others @ ..] = &self.curves[..] {
            let mut foot = vec![format!("{}/best other", subject.about.label), String::new()];
            foot.extend(stations.iter().map(|&time| {
                let best = others.iter().filter_map(|curve| curve.units_at(time)).reduce(f64::max);
                match (subject.units_at(time), best) {
                    (Some(units), Some(best)) if best > 0.0 => format!("{:.2}", units / best),
                    _ => "-".to_owned(),
                }
            }));
            if !others.is_empty() {
                table.push(foot);
            }
        }
        out.push_str(&aligned(&table));
        for curve in &self.curves {
            if let Some(failure) = &curve.failure {
                out.push_str(&format!("{}: {failure}\n", curve.about.label));
            }
        }
        for Skipped { label, reason } in &self.skipped {
            out.push_str(&format!("{label}: skipped: {reason}\n"));
        }
        out
    }

    /// As CSV, one line for each point.
    pub fn csv(&self) -> String {
        let mut out = "engine,units,seconds,min_s,max_s\n".to_owned();
        for curve in &self.curves {
            for Point { units, seconds: Summary { median, min, max } } in &curve.points {
                out.push_str(&format!("{},{units},{median:.6},{min:.6},{max:.6}\n", curve.about.label));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(milliseconds: u64, text: &str) -> Line {
        Line { elapsed: Duration::from_millis(milliseconds), text: text.to_owned() }
    }

    fn curve(points: &[(u64, f64)]) -> Curve {
        let point = |&(units, median): &(u64, f64)| Point {
            units,
            seconds: Summary { median, min: median, max: median },
        };
        let about = About { label: "e".to_owned(), version: String::new(), command: String::new() };
        Curve { about, ours: false, points: points.iter().map(point).collect(), failure: None }
    }

    #[test]
    fn progress_is_even_between_lines_and_goes_on_behind_the_last() {
        let curve = curve(&[(1, 1.0), (3, 2.0), (11, 4.0)]);
        assert_eq!(curve.units_at(0.5), None);
        assert_eq!(
            [1.0, 1.5, 3.0, 4.0, 5.0].map(|t| curve.units_at(t).unwrap()),
            [1.0, 2.0, 7.0, 11.0, 15.0]
        );
    }

    #[test]
    fn one_line_says_how_far_it_was_and_nothing_of_a_pace() {
        assert_eq!(curve(&[(1, 1.0)]).units_at(2.0), Some(1.0));
        assert_eq!(curve(&[]).units_at(2.0), None);
    }

    #[test]
    fn a_point_is_the_median_of_the_runs_and_most_of_them_must_have_reached_it() {
        let runs = [
            vec![line(1, "1 a"), line(8, "2 b"), line(9, "4 c")],
            vec![line(3, "1 a"), line(4, "2 b")],
            vec![line(2, "1 a")],
        ];
        let points: Vec<_> = points(&runs).iter().map(|p| (p.units, p.seconds.median)).collect();
        assert_eq!(points, [(1, 0.002), (2, 0.006)]);
    }

    #[test]
    fn lines_without_a_number_are_no_points() {
        let points = points(&[vec![line(1, "hello"), line(2, "7")]]);
        assert_eq!(points.iter().map(|p| p.units).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn who_prints_something_else_or_nothing_is_told() {
        let mut said = Vec::new();
        assert_eq!(check(&mut said, &[line(1, "1 a")]), None);
        assert_eq!(check(&mut said, &[line(1, "1 a"), line(2, "2 b")]), None);
        assert_eq!(
            check(&mut said, &[line(1, "1 a"), line(2, "2 c")]).unwrap(),
            "printed `2 c` where `2 b` had been printed before"
        );
        assert!(check(&mut said, &[]).unwrap().starts_with("printed no line"));
    }
}
