//! What `run --stats` tells when a run has ended: what became of the functions, and what the collector has done.

use std::fmt::{self, Write as _};

use serde::Serialize;
use wasmrun::{Collections, GcStats, Module};

use crate::args::RunArgs;
use crate::output;
use crate::tiers::{Report, milliseconds};
use crate::wording::shown;

/// What `run --stats` tells: of the module, and of each that was preloaded, in their order.
#[derive(Debug, Serialize)]
struct Stats {
    #[serde(flatten)]
    module: Report,
    preloaded: Vec<Preloaded>,
    /// Nothing, if no objects were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    gc: Option<Gc>,
}

/// What the collector has done.
#[derive(Debug, Serialize)]
struct Gc {
    /// Collections of young objects alone.
    minor: Pauses,
    /// Collections of all objects.
    full: Pauses,
    /// Bytes of all objects that were made.
    allocated: u64,
    /// Bytes of those that were still of use at the next collection.
    promoted: u64,
    /// The most bytes that the heap has held, garbage included.
    peak: usize,
}

/// Collections of one kind.
#[derive(Debug, Serialize)]
struct Pauses {
    /// How many there were.
    collections: u64,
    /// Milliseconds of the longest.
    longest_pause_ms: f64,
    /// Milliseconds of all of them.
    total_pause_ms: f64,
}

impl From<GcStats> for Gc {
    fn from(stats: GcStats) -> Gc {
        Gc {
            minor: stats.minor.into(),
            full: stats.full.into(),
            allocated: stats.allocated,
            promoted: stats.promoted,
            peak: stats.peak,
        }
    }
}

impl From<Collections> for Pauses {
    fn from(collections: Collections) -> Pauses {
        Pauses {
            collections: collections.count,
            longest_pause_ms: milliseconds(collections.longest_pause),
            total_pause_ms: milliseconds(collections.total_pause),
        }
    }
}

impl fmt::Display for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pauses { collections, longest_pause_ms, total_pause_ms } = self;
        write!(f, "{collections} in {total_pause_ms:.1} ms, the longest {longest_pause_ms:.1} ms")
    }
}

/// A preloaded module.
#[derive(Debug, Serialize)]
struct Preloaded {
    /// What others import from it by.
    preloaded_as: String,
    #[serde(flatten)]
    module: Report,
}

impl Stats {
    fn text(&self) -> String {
        let mut text = self.module.text();
        if let Some(gc) = &self.gc {
            let _ = writeln!(
                text,
                "collections: {} minor ones; {} full ones; {} bytes of objects, {} of them promoted, at most {} at a time",
                gc.minor, gc.full, gc.allocated, gc.promoted, gc.peak
            );
        }
        for library in &self.preloaded {
            let _ =
                write!(text, "\npreloaded as `{}`: {}", shown(&library.preloaded_as), library.module.text());
        }
        text
    }
}

/// Tells of a run that has ended, the libraries' functions included.
pub fn tell(run: &RunArgs, module: &Module, libraries: &[Module], gc: Option<GcStats>, json: bool) {
    let preloaded = run.options.preloads.iter().zip(libraries).map(|(preload, library)| Preloaded {
        preloaded_as: preload.name.clone(),
        module: Report::of(library),
    });
    let stats = Stats { module: Report::of(module), preloaded: preloaded.collect(), gc: gc.map(Gc::from) };
    let text = if json { output::json(&stats) } else { Ok(stats.text()) };
    output::note(&text.unwrap_or_default());
}
