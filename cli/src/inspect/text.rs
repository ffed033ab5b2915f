//! An [`Inspection`] as people read it.

use std::fmt::{self, Write as _};

use super::Inspection;
use crate::wording::{plural, shown, width};

/// The whole page.
pub fn render(inspection: &Inspection) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut out, inspection);
    out
}

fn write_page(out: &mut String, inspection: &Inspection) -> fmt::Result {
    let Inspection { file, size, sections, imports, exports, memories, start, counts, features } = inspection;
    writeln!(out, "{}: core module, {}", shown(file), bytes(*size as u64))?;

    writeln!(out, "\nsections ({}):", sections.len())?;
    let names: Vec<_> = sections
        .iter()
        .map(|s| if s.custom { format!("custom \"{}\"", shown(&s.name)) } else { s.name.clone() })
        .collect();
    let column = width(&names);
    for (section, name) in sections.iter().zip(&names) {
        writeln!(out, "  {name:column$}  at {:#010x}  {:>10} bytes", section.offset, section.size)?;
    }

    writeln!(out, "\nimports ({}):", imports.len())?;
    let names: Vec<_> = imports.iter().map(|i| format!("{}::{}", shown(&i.module), shown(&i.name))).collect();
    let column = width(&names);
    for (import, name) in imports.iter().zip(&names) {
        writeln!(out, "  {name:column$}  {} {}", import.kind, import.ty)?;
    }

    writeln!(out, "\nexports ({}):", exports.len())?;
    let names: Vec<_> = exports.iter().map(|e| shown(&e.name)).collect();
    let column = width(&names);
    for (export, name) in exports.iter().zip(&names) {
        writeln!(out, "  {name:column$}  {} {}", export.kind, export.ty)?;
    }

    writeln!(out, "\nmemories ({}):", memories.len())?;
    for (index, memory) in memories.iter().enumerate() {
        let origin = if memory.imported { ", imported" } else { "" };
        let shared = if memory.shared { ", shared" } else { "" };
        let wide = if memory.memory64 { ", 64-bit addresses" } else { "" };
        let min = pages(memory.min_pages, memory.page_size);
        match memory.max_pages {
            Some(max) => {
                write!(out, "  {index}: {min} at the start, at most {}", pages(max, memory.page_size))?
            }
            None => write!(out, "  {index}: {min} at the start")?,
        }
        writeln!(out, "{origin}{shared}{wide}")?;
    }

    writeln!(out, "\ncounts:")?;
    writeln!(out, "  types      {}", counts.types)?;
    writeln!(
        out,
        "  functions  {} ({} imported, {} with {} of code)",
        u64::from(counts.imported_functions) + u64::from(counts.functions),
        counts.imported_functions,
        counts.functions,
        bytes(counts.code_bytes)
    )?;
    writeln!(out, "  tables     {}", counts.tables)?;
    writeln!(out, "  globals    {}", counts.globals)?;
    if counts.tags > 0 {
        writeln!(out, "  tags       {}", counts.tags)?;
    }
    writeln!(out, "  elements   {}", plural(counts.element_segments.into(), "segment"))?;
    writeln!(
        out,
        "  data       {}, {}",
        plural(counts.data_segments.into(), "segment"),
        bytes(counts.data_bytes)
    )?;
    if let Some(start) = start {
        writeln!(out, "\nstart function: {start}")?;
    }

    let features: Vec<_> = features
        .iter()
        .map(|f| if f.executed { f.name.to_owned() } else { format!("{} (not executed yet)", f.name) })
        .collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    writeln!(out, "\nfeatures: {features}")
}

fn pages(count: u64, page_size: u64) -> String {
    format!("{} ({})", plural(count, "page"), bytes(count.saturating_mul(page_size)))
}

/// A size as people compare sizes: three digits are enough from a kibibyte on.
fn bytes(count: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) if count.is_multiple_of(*size) => format!("{} {unit}", count / size),
        Some((size, unit)) => format!("{:.1} {unit}", count as f64 / *size as f64),
        None => format!("{count} bytes"),
    }
}
