//! The figures as a table for a terminal.

use std::fmt::Write as _;

use crate::Goal;

/// The engines, in the order of the figures.
const ENGINES: [&str; 4] = ["jit", "tiered", "wasmtime", "pooling"];

/// Which of them is the peer that the first two are compared with.
const PEER: usize = 2;

/// All that was measured.
pub struct Table {
    /// How many batches each figure is the median of.
    pub rounds: usize,
    /// One for each border.
    pub lines: Vec<Line>,
}

/// What crossing one border costs.
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// What was promised of it.
    pub goal: Goal,
    /// One for each engine.
    pub nanoseconds: [f64; ENGINES.len()],
}

impl Line {
    /// What one of ours takes in units of the peer's time.
    fn ratio(&self, engine: usize) -> f64 {
        self.nanoseconds[engine] / self.nanoseconds[PEER]
    }

    /// The goal, and who of ours misses it.
    fn verdict(&self) -> String {
        // A ratio within a hundredth is the same time, measured twice.
        let (goal, misses): (_, &dyn Fn(usize) -> bool) = match self.goal {
            Goal::None => return String::new(),
            Goal::Nanoseconds(most) => (format!("≤ {most} ns"), &move |i| self.nanoseconds[i] > most),
            Goal::Peer => ("≤ wasmtime".to_owned(), &|i| self.ratio(i) > 1.01),
        };
        let missed: Vec<&str> = (0..PEER).filter(|&i| misses(i)).map(|i| ENGINES[i]).collect();
        if missed.is_empty() {
            format!("{goal}: met")
        } else {
            format!("{goal}: MISSED by {}", missed.join(", "))
        }
    }
}

impl Table {
    /// With its columns aligned.
    pub fn text(&self) -> String {
        let mut out = format!(
            "nanoseconds, median of {} rounds; jit and tiered are wasmrun's, pooling is Wasmtime's other allocator\n",
            self.rounds
        );
        let name = self.lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
        let _ = write!(out, "{:name$}", "");
        for engine in ENGINES {
            let _ = write!(out, "{engine:>12}");
        }
        for engine in &ENGINES[..PEER] {
            let _ = write!(out, "{:>18}", format!("{engine}/{}", ENGINES[PEER]));
        }
        out.push_str("  goal\n");
        for line in &self.lines {
            let mut text = format!("{:name$}", line.name);
            for nanoseconds in line.nanoseconds {
                let _ = write!(text, "{nanoseconds:>12.2}");
            }
            for engine in 0..PEER {
                let _ = write!(text, "{:>18.2}", line.ratio(engine));
            }
            let _ = write!(text, "  {}", line.verdict());
            let _ = writeln!(out, "{}", text.trim_end());
        }
        out
    }
}

// `cargo test --release --manifest-path fuzz/Cargo.toml --example borders`
#[cfg(test)]
mod tests {
    use super::*;

    fn line(goal: Goal, nanoseconds: [f64; 4]) -> Line {
        Line { name: "host → wasm", goal, nanoseconds }
    }

    #[test]
    fn a_goal_is_met_or_says_who_misses_it() {
        let verdict = |goal, jit, tiered| line(goal, [jit, tiered, 10.0, 99.0]).verdict();
        assert_eq!(verdict(Goal::None, 99.0, 99.0), "");
        assert_eq!(verdict(Goal::Nanoseconds(20.0), 20.0, 5.0), "≤ 20 ns: met");
        assert_eq!(verdict(Goal::Nanoseconds(20.0), 20.1, 5.0), "≤ 20 ns: MISSED by jit");
        assert_eq!(verdict(Goal::Peer, 10.05, 9.0), "≤ wasmtime: met");
        assert_eq!(verdict(Goal::Peer, 10.2, 11.0), "≤ wasmtime: MISSED by jit, tiered");
    }

    #[test]
    fn the_columns_are_aligned() {
        let table = Table {
            rounds: 3,
            lines: vec![line(Goal::None, [1.0, 2.0, 4.0, 8.0]), line(Goal::Peer, [1000.0, 2.0, 500.0, 8.0])],
        };
        let expected = "\
nanoseconds, median of 3 rounds; jit and tiered are wasmrun's, pooling is Wasmtime's other allocator
                    jit      tiered    wasmtime     pooling      jit/wasmtime   tiered/wasmtime  goal
host → wasm        1.00        2.00        4.00        8.00              0.25              0.50
host → wasm     1000.00        2.00      500.00        8.00              2.00              0.00  ≤ wasmtime: MISSED by jit
";
        assert_eq!(table.text(), expected);
    }
}
