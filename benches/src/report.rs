//! The comparison as text for people, and as JSON and CSV for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cold::{Wait, waits};
use crate::compare::{Cell, Row, Verdict, overall};
use crate::engines::Engine;
use crate::stats::{Overall, Summary};

/// All that was found out.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// On which machine.
    pub machine: Machine,
    /// How many runs count for a program that does more than start.
    pub runs: usize,
    /// Whether the question is how long one waits, and not what it costs.
    pub cold: bool,
    /// Who took part. The first one is compared with each of the others.
    pub engines: Vec<About>,
    /// Who did not.
    pub skipped: Vec<Skipped>,
    /// The programs.
    pub rows: Vec<Row>,
}

/// An engine that took part.
#[derive(Debug, Serialize)]
pub struct About {
    /// Its name in the table.
    pub label: String,
    /// What it says of itself.
    pub version: String,
    /// Its command, with options of its own.
    pub command: String,
}

impl About {
    /// What there is to say of an engine.
    pub fn of(engine: &Engine) -> Self {
        let mut command = engine.path.display().to_string();
        for option in &engine.options {
            command = format!("{command} {option}");
        }
        Self { label: engine.label.clone(), version: engine.version.clone(), command }
    }
}

/// An engine that did not take part.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// Its name.
    pub label: String,
    /// Why.
    pub reason: String,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor.
    pub cpu: String,
    /// How many threads run at once.
    pub threads: usize,
    /// The load of the last minute before the first run; `None` where the system does not tell.
    pub load: Option<f64>,
}

impl Comparison {
    /// The first engine against each other one, in their order.
    fn overall(&self) -> Vec<Option<Overall>> {
        (1..self.engines.len()).map(|other| overall(&self.rows, other)).collect()
    }

    /// As tables for a terminal.
    pub fn text(&self) -> String {
        let mut out = self.head();
        let tables =
            if self.cold { [self.waiting(), String::new()] } else { [self.programs(), self.starts()] };
        for section in tables.into_iter().chain([self.notes()]) {
            if !section.is_empty() {
                let _ = write!(out, "\n{section}");
            }
        }
        out
    }

    fn head(&self) -> String {
        let Machine { cpu, threads, load } = &self.machine;
        let load = load.map_or(String::new(), |load| format!(", load {load} before"));
        let mut lines =
            vec![["machine".to_owned(), format!("{cpu}, {threads} threads{load}"), String::new()]];
        for About { label, version, command } in &self.engines {
            lines.push([label.clone(), version.clone(), command.clone()]);
        }
        let width = |i: usize, lines: &[[String; 3]]| lines.iter().map(|l| length(&l[i])).max().unwrap_or(0);
        let skipped = self.skipped.iter().map(|skipped| length(&skipped.label)).max().unwrap_or(0);
        let (names, versions) = (width(0, &lines).max(skipped), width(1, &lines[1..]));
        let mut out = String::new();
        for [name, middle, last] in &lines {
            let _ = writeln!(out, "{}", format!("{name:names$}  {middle:versions$}  {last}").trim_end());
        }
        for Skipped { label, reason } in &self.skipped {
            let _ = writeln!(out, "{label:names$}  skipped: {reason}");
        }
        out
    }

    /// The programs that do more than start.
    fn programs(&self) -> String {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| !row.start).collect();
        let Some(subject) = self.engines.first().filter(|_| !rows.is_empty()) else { return String::new() };
        let others = &self.engines[1..];
        let mut table = vec![Vec::new()];
        table[0].push("program".to_owned());
        table[0].extend(self.engines.iter().map(|engine| engine.label.clone()));
        table[0].extend(others.iter().map(|engine| format!("/{}", engine.label)));
        table[0].push("stdout".to_owned());
        for row in rows {
            let mut line = vec![row.program.clone()];
            line.extend(
                row.cells.iter().map(|cell| {
                    shown(cell, |m| format!("{:.3}{}", m.cpu.median, spread(&m.cpu, m.runs.len())))
                }),
            );
            line.extend(
                (1..row.cells.len()).map(|other| row.ratio(other).map_or("-".to_owned(), two_digits)),
            );
            line.push(verdict(&row.stdout).to_owned());
            table.push(line);
        }
        let overall = self.overall();
        let mut foot = |name: &str, value: fn(&Overall) -> String| {
            let mut line = vec![name.to_owned()];
            line.extend(self.engines.iter().map(|_| String::new()));
            line.extend(overall.iter().map(|o| o.as_ref().map_or("-".to_owned(), value)));
            table.push(line);
        };
        if !others.is_empty() {
            foot("geomean", |overall| two_digits(overall.geomean));
            foot("worst", |overall| two_digits(overall.worst));
            foot("programs", |overall| overall.programs.to_string());
        }
        let mut out = match self.runs {
            1 => "CPU seconds (user + system) of one run".to_owned(),
            runs => format!("CPU seconds (user + system), median of {runs} runs ± half their range"),
        };
        if !others.is_empty() {
            let _ = write!(out, "; /X is {}'s time in units of X's", subject.label);
        }
        out.push('\n');
        out.push_str(&aligned(&table));
        out
    }

    /// The programs that only start.
    fn starts(&self) -> String {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.start).collect();
        if rows.is_empty() {
            return String::new();
        }
        let head = ["start-up", "engine", "wall ms", "CPU ms", "peak MiB", "CPU ratio", "stdout"];
        let mut table = vec![head.map(str::to_owned).to_vec()];
        for row in rows {
            let cells = self.engines.iter().zip(&row.cells).enumerate();
            let there = cells.filter(|(_, (_, cell))| !matches!(cell, Cell::Absent));
            for (position, (index, (engine, cell))) in there.enumerate() {
                let first = position == 0;
                table.push(vec![
                    if first { row.program.clone() } else { String::new() },
                    engine.label.clone(),
                    shown(cell, |m| milliseconds(&m.wall, m.runs.len())),
                    shown(cell, |m| milliseconds(&m.cpu, m.runs.len())),
                    shown(cell, |m| format!("{:.1}", m.peak.median / f64::from(1 << 20))),
                    row.ratio(index).filter(|_| index > 0).map_or("-".to_owned(), two_digits),
                    if first { verdict(&row.stdout).to_owned() } else { String::new() },
                ]);
            }
        }
        aligned(&table)
    }

    /// What did not fit into a column.
    fn notes(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            match &row.stdout {
                Verdict::Differs(groups) => {
                    let _ = writeln!(out, "{}: stdout differs: {groups}", row.program);
                }
                Verdict::Unsteady(who) => {
                    let _ = writeln!(out, "{}: stdout changes from run to run under {who}", row.program);
                }
                Verdict::Same | Verdict::Alone | Verdict::Varies => {}
            }
            for (engine, cell) in self.engines.iter().zip(&row.cells) {
                if let Cell::Failed(reason) = cell {
                    let _ = writeln!(out, "{}: {}: {reason}", row.program, engine.label);
                }
            }
        }
        out
    }

    /// As one JSON object: what this is, and the ratios as computed for the text; of the cold table too, if it is
    /// that.
    pub fn json(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Versus<'a> {
            engine: &'a str,
            overall: Option<Overall>,
            ratios: Vec<(&'a str, f64)>,
        }
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            comparison: &'a Comparison,
            versus: Vec<Versus<'a>>,
            waits: Option<Vec<Wait>>,
        }
        let others = self.engines.iter().enumerate().skip(1).zip(self.overall());
        let versus = others.map(|((other, engine), overall)| {
            let ratios = self.rows.iter().filter_map(|row| Some((row.program.as_str(), row.ratio(other)?)));
            Versus { engine: &engine.label, overall, ratios: ratios.collect() }
        });
        let waits = self.cold.then(|| waits(&self.rows));
        serde_json::to_string_pretty(&Whole { comparison: self, versus: versus.collect(), waits })
    }

    /// As CSV, one line for each program under each engine.
    pub fn csv(&self) -> String {
        let mut out = "program,engine,status,runs,cpu_s,cpu_min_s,cpu_max_s,wall_s,peak_bytes,ratio,stdout\n"
            .to_owned();
        for row in &self.rows {
            for (index, (engine, cell)) in self.engines.iter().zip(&row.cells).enumerate() {
                let numbers = cell.measured().map_or(",,,,,".to_owned(), |m| {
                    let Summary { median, min, max } = m.cpu;
                    let (wall, peak) = (m.wall.median, m.peak.median);
                    format!("{},{median:.6},{min:.6},{max:.6},{wall:.6},{peak:.0}", m.runs.len())
                });
                let status = match cell {
                    Cell::Absent => "absent",
                    Cell::Failed(reason) => reason,
                    Cell::Measured(_) => "ok",
                };
                let ratio = row.ratio(index).map_or(String::new(), |ratio| format!("{ratio:.4}"));
                let [program, label, status] = [&row.program, &engine.label, status].map(quoted);
                let _ =
                    writeln!(out, "{program},{label},{status},{numbers},{ratio},{}", verdict(&row.stdout));
            }
        }
        out
    }
}

pub fn shown(cell: &Cell, value: impl Fn(&crate::compare::Measured) -> String) -> String {
    match cell {
        Cell::Absent => "-".to_owned(),
        Cell::Failed(_) => "FAILED".to_owned(),
        Cell::Measured(measured) => value(measured),
    }
}

pub fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Alone => "-",
        Verdict::Varies => "has timings",
        Verdict::Unsteady(_) => "UNSTEADY",
        Verdict::Differs(_) => "DIFFERS",
    }
}

pub fn milliseconds(summary: &Summary, runs: usize) -> String {
    format!("{:.1}{}", summary.median * 1e3, spread(summary, runs))
}

/// How far to trust a median of so many runs; nothing to say of one.
fn spread(summary: &Summary, runs: usize) -> String {
    if runs > 1 { format!(" ±{:>2.0}%", summary.spread() * 100.0) } else { String::new() }
}

pub fn two_digits(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// A value of CSV, in quotes if it needs them.
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// A table with its columns aligned: words to the left, numbers to the right. What is a word's column shows in
/// its first line: `program`, `engine` and so on.
pub fn aligned(table: &[Vec<String>]) -> String {
    const WORDS: [&str; 6] = ["program", "start-up", "engine", "best", "goal", "stdout"];
    let head = &table[0];
    let width =
        |column: usize| table.iter().filter_map(|l| l.get(column)).map(|c| length(c)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for line in table {
        let mut text = String::new();
        for ((cell, &width), head) in line.iter().zip(&widths).zip(head) {
            let padding = " ".repeat(width - length(cell));
            let [left, right] =
                if WORDS.contains(&head.as_str()) { ["", padding.as_str()] } else { [padding.as_str(), ""] };
            let _ = write!(text, "{left}{cell}{right}  ");
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Measured;
    use crate::measure::Run;

    /// A cell of three runs around `cpu` seconds.
    fn cell(cpu: f64) -> Cell {
        let run = |user: f64| Run { user, wall: user * 2.0, peak: 3 << 20, code: Some(0), ..Run::default() };
        measured(vec![run(cpu * 0.9), run(cpu), run(cpu * 1.1)])
    }

    fn measured(runs: Vec<Run>) -> Cell {
        Cell::Measured(Measured::of(runs).unwrap())
    }

    fn row(program: &str, stdout: Verdict, cells: Vec<Cell>) -> Row {
        Row { program: program.to_owned(), start: program == "hello", stdout, cells }
    }

    fn sample() -> Comparison {
        let about = |label: &str| About {
            label: label.to_owned(),
            version: format!("{label} 1.0"),
            command: format!("/bin/{label}"),
        };
        Comparison {
            machine: Machine { cpu: "abacus".to_owned(), threads: 2, load: Some(0.5) },
            runs: 3,
            cold: false,
            engines: vec![about("wasmrun"), about("wasmi")],
            skipped: vec![Skipped { label: "wasmtime".to_owned(), reason: "not there".to_owned() }],
            rows: vec![
                row("hello", Verdict::Same, vec![cell(0.001), cell(0.002)]),
                row("bz2", Verdict::Same, vec![cell(0.5), cell(1.0)]),
                row("json", Verdict::Differs("wasmrun ≠ wasmi".to_owned()), vec![cell(2.0), cell(1.0)]),
                row(
                    "lua",
                    Verdict::Alone,
                    vec![cell(1.0), Cell::Failed("exit code 1: no, \"no\"".to_owned())],
                ),
            ],
        }
    }

    #[test]
    fn the_text_shows_times_ratios_geomean_and_all_that_went_wrong() {
        let expected = "\
machine   abacus, 2 threads, load 0.5 before
wasmrun   wasmrun 1.0  /bin/wasmrun
wasmi     wasmi 1.0    /bin/wasmi
wasmtime  skipped: not there

CPU seconds (user + system), median of 3 runs ± half their range; /X is wasmrun's time in units of X's
program      wasmrun       wasmi  /wasmi  stdout
bz2       0.500 ±10%  1.000 ±10%    0.50  same
json      2.000 ±10%  1.000 ±10%    2.00  DIFFERS
lua       1.000 ±10%      FAILED       -  -
geomean                             1.00
worst                               2.00
programs                               2

start-up  engine    wall ms    CPU ms  peak MiB  CPU ratio  stdout
hello     wasmrun  2.0 ±10%  1.0 ±10%       3.0          -  same
          wasmi    4.0 ±10%  2.0 ±10%       3.0       0.50

json: stdout differs: wasmrun ≠ wasmi
lua: wasmi: exit code 1: no, \"no\"
";
        assert_eq!(sample().text(), expected);
    }

    #[test]
    fn one_run_shows_no_spread() {
        let mut comparison = sample();
        comparison.runs = 1;
        let once = Run { user: 0.25, code: Some(0), ..Run::default() };
        comparison.rows = vec![row("bz2", Verdict::Alone, vec![Cell::Absent, measured(vec![once])])];
        let text = comparison.text();
        assert!(text.contains("CPU seconds (user + system) of one run; /X"), "{text}");
        assert!(text.contains("bz2             -  0.250       -  -\n"), "{text}");
    }

    #[test]
    fn an_engine_without_the_program_has_no_line_among_the_starts() {
        let mut comparison = sample();
        comparison.rows = vec![row("hello", Verdict::Alone, vec![Cell::Absent, cell(0.002)])];
        let text = comparison.text();
        assert!(text.contains("\nhello     wasmi   4.0 ±10%"), "{text}");
    }

    #[test]
    fn one_engine_alone_makes_a_table_without_ratios() {
        let mut comparison = sample();
        comparison.engines.truncate(1);
        for row in &mut comparison.rows {
            row.cells.truncate(1);
        }
        let text = comparison.text();
        assert!(text.contains("program     wasmrun  stdout\n"), "{text}");
        assert!(!text.contains("geomean"), "{text}");
    }

    #[test]
    fn the_json_holds_every_run_and_the_ratios() {
        let json: serde_json::Value = serde_json::from_str(&sample().json().unwrap()).unwrap();
        assert_eq!(json["rows"][1]["cells"][1]["measured"]["cpu"]["median"], 1.0);
        assert_eq!(json["rows"][1]["cells"][0]["measured"]["runs"].as_array().unwrap().len(), 3);
        assert_eq!(json["rows"][2]["stdout"]["differs"], "wasmrun ≠ wasmi");
        assert_eq!(json["rows"][3]["cells"][1]["failed"], "exit code 1: no, \"no\"");
        assert_eq!(json["versus"][0]["engine"], "wasmi");
        assert_eq!(json["versus"][0]["overall"]["worst_program"], "json");
        assert_eq!(json["versus"][0]["ratios"][1], serde_json::json!(["bz2", 0.5]));
        assert_eq!(json["skipped"][0]["label"], "wasmtime");
    }

    #[test]
    fn the_csv_has_a_line_for_each_program_under_each_engine() {
        let csv = sample().csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 4 * 2);
        assert_eq!(lines[4], "bz2,wasmi,ok,3,1.000000,0.900000,1.100000,2.000000,3145728,0.5000,same");
        assert_eq!(lines[8], "lua,wasmi,\"exit code 1: no, \"\"no\"\"\",,,,,,,,-");
    }
}
