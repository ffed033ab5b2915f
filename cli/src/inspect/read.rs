//! Reads an [`Inspection`] out of the bytes of a module.
//!
//! The validator judges the module first and keeps its types, so that nothing here has to count indices.

use std::path::Path;

use wasmparser::types::{EntityType, TypesRef};
use wasmparser::{BinaryReaderError, CompositeInnerType, Import as RawImport, MemoryType, Parser, Payload};
use wasmparser::{Validator, WasmFeatures};

use super::{Counts, Export, Feature, Import, Inspection, Memory, Section};
use crate::errors::{Failure, Outcome};
use crate::file_arg;

/// Inspects a core module in binary form that uses `features`.
pub fn inspect(file: &Path, bytes: &[u8], features: Vec<Feature>) -> Outcome<Inspection> {
    let refuse = |error: BinaryReaderError| {
        Failure::new(format!("{} is no valid module", file_arg::display_name(file))).because(error)
    };
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).map_err(refuse)?;
    let types = types.as_ref();
    let mut inspection = Inspection {
        file: file.display().to_string(),
        size: bytes.len(),
        sections: Vec::new(),
        imports: Vec::new(),
        exports: Vec::new(),
        memories: Vec::new(),
        start: None,
        counts: counts(types),
        features,
    };
    for payload in Parser::new(0).parse_all(bytes) {
        add(&mut inspection, payload.map_err(refuse)?, types).map_err(refuse)?;
    }
    let imported = inspection.imports.iter().filter(|import| import.kind == "memory").count();
    inspection.memories.extend((0..types.memory_count()).map(|index| {
        let imported = (index as usize) < imported;
        memory(&types.memory_at(index), imported)
    }));
    let counts = &mut inspection.counts;
    counts.imported_functions = types.function_count() - counts.functions;
    Ok(inspection)
}

fn add(to: &mut Inspection, payload: Payload<'_>, types: TypesRef<'_>) -> Result<(), BinaryReaderError> {
    to.sections.extend(section(&payload));
    match payload {
        Payload::ImportSection(imports) => {
            for import in imports.into_imports() {
                to.imports.push(import_of(&import?, types));
            }
        }
        Payload::ExportSection(exports) => {
            for export in exports {
                let export = export?;
                let Some(ty) = types.entity_type_from_export(&export) else { continue };
                let (kind, ty) = describe(&ty, types);
                to.exports.push(Export { name: export.name.to_owned(), kind, ty, index: export.index });
            }
        }
        Payload::StartSection { func, .. } => to.start = Some(func),
        Payload::ElementSection(elements) => to.counts.element_segments = elements.count(),
        Payload::CodeSectionEntry(body) => {
            to.counts.functions += 1;
            to.counts.code_bytes += body.range().end - body.range().start;
        }
        Payload::DataSection(segments) => {
            to.counts.data_segments = segments.count();
            for segment in segments {
                to.counts.data_bytes += segment?.data.len() as u64;
            }
        }
        _ => {}
    }
    Ok(())
}

fn import_of(import: &RawImport<'_>, types: TypesRef<'_>) -> Import {
    let (kind, ty) = match types.entity_type_from_import(import) {
        Some(ty) => describe(&ty, types),
        None => ("unknown", String::new()),
    };
    Import { module: import.module.to_owned(), name: import.name.to_owned(), kind, ty }
}

fn counts(types: TypesRef<'_>) -> Counts {
    Counts {
        types: types.core_type_count_in_module(),
        tables: types.table_count(),
        memories: types.memory_count(),
        globals: types.global_count(),
        tags: types.tag_count(),
        ..Counts::default()
    }
}

fn section(payload: &Payload<'_>) -> Option<Section> {
    let (_, range) = payload.as_section()?;
    let (name, custom) = match payload {
        Payload::TypeSection(_) => ("type", false),
        Payload::ImportSection(_) => ("import", false),
        Payload::FunctionSection(_) => ("function", false),
        Payload::TableSection(_) => ("table", false),
        Payload::MemorySection(_) => ("memory", false),
        Payload::TagSection(_) => ("tag", false),
        Payload::GlobalSection(_) => ("global", false),
        Payload::ExportSection(_) => ("export", false),
        Payload::StartSection { .. } => ("start", false),
        Payload::ElementSection(_) => ("element", false),
        Payload::DataCountSection { .. } => ("data count", false),
        Payload::CodeSectionStart { .. } => ("code", false),
        Payload::DataSection(_) => ("data", false),
        Payload::CustomSection(custom) => (custom.name(), true),
        _ => return None,
    };
    Some(Section { name: name.to_owned(), custom, offset: range.start, size: range.end - range.start })
}

fn memory(ty: &MemoryType, imported: bool) -> Memory {
    Memory {
        imported,
        min_pages: ty.initial,
        max_pages: ty.maximum,
        page_size: 1 << ty.page_size_log2.unwrap_or(16),
        shared: ty.shared,
        memory64: ty.memory64,
    }
}

/// Kind and type of an import or export.
fn describe(ty: &EntityType, types: TypesRef<'_>) -> (&'static str, String) {
    let function = |id: &wasmparser::types::CoreTypeId| match &types[*id].composite_type.inner {
        CompositeInnerType::Func(ty) => signature(ty),
        other => other.to_string(),
    };
    match ty {
        EntityType::Func(id) | EntityType::FuncExact(id) => ("func", function(id)),
        EntityType::Tag(id) => ("tag", function(id)),
        EntityType::Table(ty) => ("table", format!("{} {}", limits(ty.initial, ty.maximum), ty.element_type)),
        EntityType::Memory(ty) => {
            let wide = if ty.memory64 { "i64 " } else { "" };
            let shared = if ty.shared { " shared" } else { "" };
            ("memory", format!("{wide}{}{shared}", limits(ty.initial, ty.maximum)))
        }
        EntityType::Global(ty) if ty.mutable => ("global", format!("mut {}", ty.content_type)),
        EntityType::Global(ty) => ("global", ty.content_type.to_string()),
    }
}

fn signature(ty: &wasmparser::FuncType) -> String {
    let list =
        |types: &[wasmparser::ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}

fn limits(min: u64, max: Option<u64>) -> String {
    max.map_or_else(|| min.to_string(), |max| format!("{min} {max}"))
}
