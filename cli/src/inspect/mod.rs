//! `wasmrun inspect`: what is in a module, for people ([`text`]) and, as JSON, for programs.
//!
//! Any valid core module can be inspected, also one that uses proposals that the engine does not execute.

pub mod read;
mod text;

use std::path::Path;

use serde::Serialize;

use crate::errors::Outcome;
use crate::time_limit::TimeLimit;
use crate::{output, source};

/// Everything that is shown. The names of the fields are those of the JSON.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// Path as it was given.
    pub file: String,
    /// Size of the binary form in bytes.
    pub size: usize,
    /// In file order.
    pub sections: Vec<Section>,
    /// In file order.
    pub imports: Vec<Import>,
    /// In file order.
    pub exports: Vec<Export>,
    /// Imported ones first.
    pub memories: Vec<Memory>,
    /// Index of the start function.
    pub start: Option<u32>,
    /// How much there is of everything.
    pub counts: Counts,
    /// Proposals without which the module would not be valid.
    pub features: Vec<Feature>,
}

/// A section.
#[derive(Debug, Serialize)]
pub struct Section {
    /// Name of its kind; for a custom section, its own name.
    pub name: String,
    /// Whether it is a custom section.
    pub custom: bool,
    /// Where its contents begin.
    pub offset: u64,
    /// Bytes of its contents.
    pub size: u64,
}

/// An import.
#[derive(Debug, Serialize)]
pub struct Import {
    /// Module part of its name.
    pub module: String,
    /// Field part of its name.
    pub name: String,
    /// `func`, `table`, `memory`, `global` or `tag`.
    pub kind: &'static str,
    /// Its type in a form like the text format's.
    #[serde(rename = "type")]
    pub ty: String,
}

/// An export.
#[derive(Debug, Serialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// `func`, `table`, `memory`, `global` or `tag`.
    pub kind: &'static str,
    /// Its type in a form like the text format's.
    #[serde(rename = "type")]
    pub ty: String,
    /// Index in the space of its kind.
    pub index: u32,
}

/// A memory.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Whether it comes from outside.
    pub imported: bool,
    /// Pages at the start.
    pub min_pages: u64,
    /// Pages beyond which it cannot grow.
    pub max_pages: Option<u64>,
    /// Bytes of a page.
    pub page_size: u64,
    /// Whether threads share it.
    pub shared: bool,
    /// Whether addresses have 64 bits.
    pub memory64: bool,
}

/// Numbers of things.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    /// Types.
    pub types: u32,
    /// Functions that come from outside.
    pub imported_functions: u32,
    /// Functions with a body.
    pub functions: u32,
    /// Bytes of all bodies.
    pub code_bytes: u64,
    /// Tables, imported ones included.
    pub tables: u32,
    /// Memories, imported ones included.
    pub memories: u32,
    /// Globals, imported ones included.
    pub globals: u32,
    /// Tags, imported ones included.
    pub tags: u32,
    /// Element segments.
    pub element_segments: u32,
    /// Data segments.
    pub data_segments: u32,
    /// Bytes of the data section.
    pub data_bytes: u64,
}

/// A proposal that the module uses.
#[derive(Debug, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Whether the engine executes it.
    pub executed: bool,
}

/// Runs the command.
pub fn run(file: &Path, json: bool) -> Outcome {
    let bytes = source::module_bytes(file, &TimeLimit::none())?;
    let features = wasmrun_runtime::used_proposals(&bytes);
    let features = features.into_iter().map(|p| Feature { name: p.name, executed: p.executed }).collect();
    let inspection = read::inspect(file, &bytes, features)?;
    if json { output::print_json(&inspection) } else { output::print(&text::render(&inspection)) }
}
