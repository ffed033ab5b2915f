//! The cold table: how long one waits for a program that no engine has seen before, and whether wasmrun keeps its
//! promise not to be noticeably later than the fastest of the others.

use serde::Serialize;

use crate::compare::{Cell, Row};
use crate::report::{Comparison, aligned, milliseconds, shown, two_digits, verdict};
use crate::stats::{Overall, ratio};

/// What is promised: no more than this times the best of the others…
const FACTOR: f64 = 1.10;

/// … and this many seconds.
const GRACE: f64 = 0.005;

/// One program, for the first engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// The program.
    pub program: String,
    /// The fastest other engine; an index.
    pub best: usize,
    /// The first engine's real time in units of that one's.
    pub ratio: f64,
    /// Whether the promise is kept.
    pub kept: bool,
}

impl Wait {
    /// Compares; `None` if the first engine or all the others have not run the program.
    fn of(row: &Row) -> Option<Self> {
        let wall = |cell: &Cell| Some(cell.measured()?.wall.median);
        let others = row.cells.iter().enumerate().skip(1);
        let others = others.filter_map(|(index, cell)| Some((index, wall(cell)?)));
        let (best, least) = others.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let own = wall(row.cells.first()?)?;
        Some(Self {
            program: row.program.clone(),
            best,
            ratio: ratio(own, least)?,
            kept: own <= FACTOR * least + GRACE,
        })
    }
}

/// All programs that can be compared.
pub fn waits(rows: &[Row]) -> Vec<Wait> {
    rows.iter().filter_map(Wait::of).collect()
}

impl Comparison {
    /// The cold table, with what was promised of the first engine.
    pub fn waiting(&self) -> String {
        let Some(subject) = self.engines.first() else { return String::new() };
        let missed = format!("> {FACTOR:.2}x + {:.0} ms", GRACE * 1e3);
        let mut table = vec![vec!["program".to_owned()]];
        table[0].extend(self.engines.iter().map(|engine| engine.label.clone()));
        table[0].extend(["/best", "best", "goal", "stdout"].map(str::to_owned));
        for row in &self.rows {
            let mut line = vec![row.program.clone()];
            line.extend(row.cells.iter().map(|cell| shown(cell, |m| milliseconds(&m.wall, m.runs.len()))));
            line.extend(match Wait::of(row) {
                Some(wait) => [
                    two_digits(wait.ratio),
                    self.engines[wait.best].label.clone(),
                    if wait.kept { String::new() } else { missed.clone() },
                ],
                None => ["-", "-", "-"].map(str::to_owned),
            });
            line.push(verdict(&row.stdout).to_owned());
            table.push(line);
        }
        let waits = waits(&self.rows);
        let overall = Overall::of(waits.iter().map(|wait| (wait.program.as_str(), wait.ratio)));
        let mut foot = |name: &str, value: String| {
            let mut line = vec![name.to_owned()];
            line.extend(self.engines.iter().map(|_| String::new()));
            line.push(value);
            table.push(line);
        };
        if let Some(overall) = overall {
            foot("geomean", two_digits(overall.geomean));
            foot("worst", two_digits(overall.worst));
            foot("programs", overall.programs.to_string());
            foot("missed", waits.iter().filter(|wait| !wait.kept).count().to_string());
        }
        format!(
            "milliseconds from the start to the end of a process without a cache, median ± half their range; \
             /best is {}'s time in units of the best other's\n{}",
            subject.label,
            aligned(&table)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Measured, Verdict};
    use crate::measure::Run;
    use crate::report::{About, Machine};

    fn cell(wall: f64) -> Cell {
        let run = Run { user: 9.0, wall, code: Some(0), ..Run::default() };
        Measured::of(vec![run]).map_or(Cell::Absent, Cell::Measured)
    }

    fn row(program: &str, cells: Vec<Cell>) -> Row {
        Row { program: program.to_owned(), start: false, stdout: Verdict::Same, cells }
    }

    #[test]
    fn the_promise_is_a_tenth_and_five_milliseconds_beyond_the_best_of_the_others() {
        let wait = |own, a, b| Wait::of(&row("p", vec![cell(own), cell(a), cell(b)])).unwrap();
        assert_eq!(wait(1.1, 1.0, 2.0), Wait { program: "p".to_owned(), best: 1, ratio: 1.1, kept: true });
        assert!(wait(1.104, 2.0, 1.0).kept && wait(1.104, 2.0, 1.0).best == 2);
        assert!(!wait(1.106, 2.0, 1.0).kept);
        assert!(wait(0.006, 0.001, 1.0).kept && !wait(0.0062, 0.001, 1.0).kept);
    }

    #[test]
    fn who_has_not_run_is_not_the_best() {
        let failed = || Cell::Failed("no".to_owned());
        assert_eq!(Wait::of(&row("p", vec![cell(1.0), failed(), cell(2.0)])).unwrap().best, 2);
        assert_eq!(Wait::of(&row("p", vec![cell(1.0), failed()])), None);
        assert_eq!(Wait::of(&row("p", vec![failed(), cell(1.0)])), None);
    }

    #[test]
    fn the_table_names_the_best_and_who_missed_and_ends_with_the_mean() {
        let about = |label: &str| About {
            label: label.to_owned(),
            version: "1".to_owned(),
            command: format!("/bin/{label}"),
        };
        let comparison = Comparison {
            machine: Machine { cpu: "abacus".to_owned(), threads: 2, load: None },
            runs: 1,
            cold: true,
            engines: vec![about("wasmrun"), about("wasmi"), about("node")],
            skipped: Vec::new(),
            rows: vec![
                row("a", vec![cell(0.5), cell(1.0), cell(2.0)]),
                row("b", vec![cell(2.0), cell(4.0), cell(1.0)]),
                row("c", vec![cell(2.0), Cell::Absent, Cell::Failed("why".to_owned())]),
            ],
        };
        let expected = "\
machine  abacus, 2 threads
wasmrun  1  /bin/wasmrun
wasmi    1  /bin/wasmi
node     1  /bin/node

milliseconds from the start to the end of a process without a cache, median ± half their range; /best is wasmrun's time in units of the best other's
program   wasmrun   wasmi    node  /best  best   goal            stdout
a           500.0  1000.0  2000.0   0.50  wasmi                  same
b          2000.0  4000.0  1000.0   2.00  node   > 1.10x + 5 ms  same
c          2000.0       -  FAILED      -  -      -               same
geomean                             1.00
worst                               2.00
programs                               2
missed                                 1

c: node: why
";
        assert_eq!(comparison.text(), expected);
    }
}
