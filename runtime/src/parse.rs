//! From bytes to a validated [`Module`].
//!
//! All is validated first: sections in order, then function bodies ([`crate::bodies`]). What a module declares is taken down
//! after that, as its types are registered with the engine then, for ever. A module that is refused is judged once
//! more with every proposal switched on, so that the error can say which proposal would admit it.

use std::sync::Arc;

use wasmparser::types::Types;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, CustomSectionReader, DataKind, ElementKind, Encoding,
    ExternalKind, FuncToValidate, KnownCustom, Parser, Payload, RecGroup, SectionLimited, TypeRef,
    ValidPayload, Validator, ValidatorResources,
};

use crate::bodies;
use crate::const_expr::{ConstExpr, ConstExprs};
use crate::declarations::{
    Body, DataSegment, Declarations, ElementItems, ElementSegment, Export, ExternIndex, GlobalDef, Import,
    Section, SegmentMode, TableDef,
};
use crate::error::{ParseError, Refusal};
use crate::features::{Features, PROPOSALS, Proposal};
use crate::module::Module;
use crate::parsed_types::{ParsedTypes, memory_type};
use crate::types::{ExternType, HeapType, RefType, SubType, TagType, TooManyTypes, TypeId, TypeRegistry};
use crate::vm::reservation_of;

/// The validator that decides. It stands in the sources because a hash of these is a part of what code on disk is known by, and
/// a module of which there is such code is not validated again.
pub const VALIDATOR: &str = "wasmparser 0.263.0";

/// Validates `bytes` and makes a module of them.
pub fn parse(bytes: Vec<u8>, features: Features, registry: &Arc<TypeRegistry>) -> Result<Module, ParseError> {
    // SAFETY: nothing is said to be valid.
    #[allow(unsafe_code)]
    unsafe {
        parse_unless_valid(bytes, features, registry, |_, _| false)
    }
}

/// What a module defines, as far as is known before its function bodies are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Functions that it defines.
    pub functions: u32,
    /// The most bytes that one of its memories reserves, imported ones included; 0 if none is guarded ever.
    pub reservation: usize,
}

/// As [`parse`], but for bytes that `are_valid`, function bodies are not looked at: they are most of a module, and most of
/// the work.
///
/// # Safety
/// Bytes that `are_valid` have been accepted by [`parse`] of this version with these features.
#[allow(unsafe_code)]
pub unsafe fn parse_unless_valid(
    bytes: Vec<u8>,
    features: Features,
    registry: &Arc<TypeRegistry>,
    are_valid: impl FnOnce(&[u8], Outline) -> bool,
) -> Result<Module, ParseError> {
    if Parser::is_component(&bytes) {
        return Err(ParseError::Component);
    }
    if u32::try_from(bytes.len()).is_err() {
        let what = format!("the module has {} bytes; the limit is 4 GiB", bytes.len());
        return Err(ParseError::TooLarge { what, offset: 0, function: None });
    }
    let read = Sections::read(&bytes, features).and_then(|sections| {
        if !are_valid(&bytes, sections.outline()) {
            sections.validate_bodies(&bytes, features)?;
        }
        let mut builder = Builder { declared: sections.declared, registry };
        sections.declaring.into_iter().try_for_each(|payload| builder.section(payload))?;
        Ok(builder.declared)
    });
    let declared = match read {
        Ok(declared) => declared,
        Err(Refusal::TooLarge(error)) => return Err(error),
        Err(Refusal::Invalid { message, offset, function }) => {
            return Err(match needed_proposal(&bytes, features) {
                Some(proposal) => ParseError::Proposal {
                    proposal: proposal.name,
                    executed: proposal.executed,
                    message,
                    offset,
                    function,
                },
                None => ParseError::Invalid { message, offset, function },
            });
        }
    };
    Ok(Module::new(bytes, declared, features, registry))
}

/// Validates `bytes` with `features` and forgets the result.
pub fn validate(bytes: &[u8], features: Features) -> bool {
    Sections::read(bytes, features).and_then(|sections| sections.validate_bodies(bytes, features)).is_ok()
}

/// The proposals that `bytes` uses: a smallest set with which they are valid. Where one of two proposals
/// would do, it is the older. Empty for bytes that are not a valid module at all.
pub fn used_proposals(bytes: &[u8]) -> Vec<&'static Proposal> {
    let candidates = [Features::all(), Features::all_compatible()];
    let Some(mut features) = candidates.into_iter().find(|set| validate(bytes, *set)) else {
        return Vec::new();
    };
    let candidates: Vec<_> = PROPOSALS.iter().rev().filter(|p| features.contains(p)).collect();
    let mut used = Vec::new();
    narrow(bytes, &mut features, &candidates, &mut used);
    used.reverse();
    used
}

/// Takes those of `candidates` out of `features` that `bytes` can do without; the others are `used`. Halves
/// that nobody uses, which is most, go at once.
fn narrow(
    bytes: &[u8],
    features: &mut Features,
    candidates: &[&'static Proposal],
    used: &mut Vec<&'static Proposal>,
) {
    let without = candidates.iter().fold(*features, |set, p| set.with(p, false));
    if validate(bytes, without) {
        *features = without;
    } else if let [proposal] = candidates {
        used.push(proposal);
    } else {
        let (newer, older) = candidates.split_at(candidates.len() / 2);
        narrow(bytes, features, newer, used);
        narrow(bytes, features, older, used);
    }
}

/// The proposal outside `features` that `bytes` needs, if some set of proposals makes it valid.
fn needed_proposal(bytes: &[u8], features: Features) -> Option<&'static Proposal> {
    let used = used_proposals(bytes);
    used.into_iter().find(|p| !features.contains(p))
}

/// The sections of a module, which are valid but for the function bodies.
struct Sections<'b> {
    /// Those that declare something that may depend on a type, in order.
    declaring: Vec<Payload<'b>>,
    /// What can be said without types.
    declared: Declarations,
    bodies: Vec<FuncToValidate<ValidatorResources>>,
    types: Types,
}

impl<'b> Sections<'b> {
    fn read(bytes: &'b [u8], features: Features) -> Result<Sections<'b>, Refusal> {
        let mut validator = Validator::new_with_features(features.to_validator());
        let mut parser = Parser::new(0);
        parser.set_features(features.to_validator());
        let (mut declared, mut declaring, mut bodies) = (Declarations::default(), Vec::new(), Vec::new());
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            match validator.payload(&payload)? {
                ValidPayload::Func(to_validate, body) => {
                    let range = body.range();
                    let len = (range.end - range.start) as u32;
                    bodies.push(to_validate);
                    declared.bodies.push(Body { start: range.start as u32, len });
                    continue;
                }
                ValidPayload::End(types) => return Ok(Sections { declaring, declared, bodies, types }),
                ValidPayload::Ok | ValidPayload::Parser(_) => {}
            }
            let Some((id, range)) = payload.as_section() else { continue };
            let range = range.start as usize..range.end as usize;
            let (name, custom) = match &payload {
                Payload::CustomSection(section) => (section.name().to_owned(), true),
                _ => (section_name(id).to_owned(), false),
            };
            declared.sections.push(Section { name, custom, range });
            match payload {
                Payload::CustomSection(section) => custom_section(&mut declared, &section),
                payload => declaring.push(payload),
            }
        }
        unreachable!("the parser ends with the end of the module, or an error")
    }

    fn outline(&self) -> Outline {
        let types = self.types.as_ref();
        let memories = (0..types.memory_count()).map(|index| memory_type(&types.memory_at(index)));
        let reservation = memories.filter_map(reservation_of).max().unwrap_or(0);
        Outline { functions: self.declared.bodies.len() as u32, reservation }
    }

    fn validate_bodies(&self, bytes: &[u8], features: Features) -> Result<(), Refusal> {
        let types = self.types.as_ref();
        let mut all = (0..types.core_type_count_in_module()).map(|i| &types[types.core_type_at_in_module(i)]);
        let wide = all.any(bodies::is_wide);
        bodies::validate(bytes, &self.declared.bodies, features, &self.bodies, wide)
    }
}

/// Takes down what is declared by the sections of a valid module.
struct Builder<'r> {
    declared: Declarations,
    registry: &'r TypeRegistry,
}

impl Builder<'_> {
    /// Registers the types of a group.
    fn group(&mut self, group: RecGroup) -> Result<(), TooManyTypes> {
        let first = self.declared.types.len() as u32;
        // The kinds of the group's own types have to be known before anything refers to them.
        let group: Vec<_> = group.into_types().collect();
        let concrete = |index: u32| match index.checked_sub(first) {
            None => self.declared.indexed_heap_type(index),
            Some(place) => {
                let id = self.registry.defined(TypeId::member(place));
                match group[place as usize].composite_type.inner {
                    CompositeInnerType::Array(_) => HeapType::ConcreteArray(id),
                    CompositeInnerType::Struct(_) => HeapType::ConcreteStruct(id),
                    CompositeInnerType::Func(_) | CompositeInnerType::Cont(_) => HeapType::ConcreteFunc(id),
                }
            }
        };
        let types = ParsedTypes(concrete);
        let members = group.iter().map(|ty| SubType {
            is_final: ty.is_final,
            supertype: ty.supertype_idxs.first().map(|index| {
                let index = index.as_module_index().expect("types in a module's bytes are indices");
                match index.checked_sub(first) {
                    None => self.declared.type_ids[index as usize],
                    Some(place) => TypeId::member(place),
                }
            }),
            composite: types.composite(&ty.composite_type.inner),
        });
        let members: Vec<_> = members.collect();
        let count = members.len() as u32;
        let TypeId(id) = self.registry.intern_group(members)?;
        for id in (id..id + count).map(TypeId) {
            let registered = self.registry.get(id).zip(self.registry.heap_type(id));
            let (ty, heap_type) = registered.expect("just registered");
            self.declared.types.push(ty.composite.clone());
            self.declared.type_ids.push(id);
            self.declared.heap_types.push(heap_type);
        }
        Ok(())
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        if let Payload::TypeSection(types) = payload {
            let offset = types.range().start as usize;
            for group in types {
                self.group(group?).map_err(|error| {
                    Refusal::TooLarge(ParseError::TooLarge {
                        what: error.to_string(),
                        offset,
                        function: None,
                    })
                })?;
            }
            return Ok(());
        }
        let declared = &mut self.declared;
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let ty = match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            declared.functions.push(ty);
                            declared.imported_functions += 1;
                            ExternType::Func(declared.func_type(ty).clone())
                        }
                        TypeRef::Table(ty) => {
                            let ty = declared.parsed_types().table(&ty);
                            declared.imported_tables.push(ty);
                            ExternType::Table(ty)
                        }
                        TypeRef::Memory(ty) => {
                            let ty = memory_type(&ty);
                            declared.imported_memories.push(ty);
                            ExternType::Memory(ty)
                        }
                        TypeRef::Global(ty) => {
                            let ty = declared.parsed_types().global(&ty);
                            declared.imported_globals.push(ty);
                            ExternType::Global(ty)
                        }
                        TypeRef::Tag(ty) => {
                            declared.tags.push(ty.func_type_idx);
                            declared.imported_tags += 1;
                            // With results it is one of stack switching: no module is made of this one.
                            match TagType::of(declared.func_type(ty.func_type_idx).clone()) {
                                Some(ty) => ExternType::Tag(ty),
                                None => continue,
                            }
                        }
                    };
                    declared.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        ty,
                    });
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    declared.functions.push(ty?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?;
                    let init = match &table.init {
                        wasmparser::TableInit::RefNull => None,
                        wasmparser::TableInit::Expr(expr) => Some(ConstExpr::new(expr)),
                    };
                    let ty = declared.parsed_types().table(&table.ty);
                    declared.tables.push(TableDef { ty, init });
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    declared.memories.push(memory_type(&memory?));
                }
            }
            Payload::TagSection(tags) => {
                for tag in tags {
                    declared.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    let init = ConstExpr::new(&global.init_expr);
                    let ty = declared.parsed_types().global(&global.ty);
                    declared.globals.push(GlobalDef { ty, init });
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let index = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => ExternIndex::Func(export.index),
                        ExternalKind::Table => ExternIndex::Table(export.index),
                        ExternalKind::Memory => ExternIndex::Memory(export.index),
                        ExternalKind::Global => ExternIndex::Global(export.index),
                        ExternalKind::Tag => ExternIndex::Tag(export.index),
                    };
                    declared.exports.push(Export { name: export.name.to_owned(), index });
                }
            }
            Payload::StartSection { func, .. } => declared.start = Some(func),
            Payload::ElementSection(segments) => {
                for segment in segments {
                    let segment = element_segment(segment?, declared)?;
                    declared.elements.push(segment);
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let mode = match segment.kind {
                        DataKind::Passive => SegmentMode::Passive,
                        DataKind::Active { memory_index, offset_expr } => {
                            SegmentMode::Active { target: memory_index, offset: ConstExpr::new(&offset_expr) }
                        }
                    };
                    let end = segment.range.end as usize;
                    let data = end - segment.data.len()..end;
                    declared.data.push(DataSegment { mode, data });
                }
            }
            Payload::Version { encoding: Encoding::Module, .. } | Payload::End(_) => {}
            // The validator has refused everything else that a module cannot hold.
            _ => {}
        }
        Ok(())
    }
}

/// Notes custom sections that mean something.
fn custom_section(declared: &mut Declarations, section: &CustomSectionReader<'_>) {
    let range = section.data_offset() as usize..section.range().end as usize;
    match section.as_known() {
        KnownCustom::Name(_) => declared.name_section = Some(range),
        // Behind the code, and a second time, there must be none.
        KnownCustom::BranchHints(_) if declared.bodies.is_empty() && declared.hint_section.is_none() => {
            declared.hint_section = Some(range);
        }
        _ => {}
    }
}

fn section_name(id: u8) -> &'static str {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    NAMES.get(id as usize).copied().unwrap_or("unknown")
}

fn element_segment(
    segment: wasmparser::Element<'_>,
    declared: &Declarations,
) -> Result<ElementSegment, Refusal> {
    let mode = match segment.kind {
        ElementKind::Passive => SegmentMode::Passive,
        ElementKind::Declared => SegmentMode::Declared,
        ElementKind::Active { table_index, offset_expr } => {
            SegmentMode::Active { target: table_index.unwrap_or(0), offset: ConstExpr::new(&offset_expr) }
        }
    };
    let (ty, items) = match segment.items {
        wasmparser::ElementItems::Functions(functions) => {
            // A segment can have ten million of them.
            let mut indices = Vec::new();
            indices.try_reserve_exact(functions.count() as usize).map_err(|_| {
                let what = format!("the system has no memory for {} elements of a table", functions.count());
                let offset = segment.range.start as usize;
                Refusal::TooLarge(ParseError::TooLarge { what, offset, function: None })
            })?;
            for function in functions {
                indices.push(function?);
            }
            (RefType::new(false, HeapType::Func), ElementItems::Functions(indices.into()))
        }
        wasmparser::ElementItems::Expressions(ty, expressions) => {
            let items = match functions(expressions.clone())? {
                Some(functions) => ElementItems::Functions(functions),
                None => ElementItems::Expressions(ConstExprs::new(&expressions)),
            };
            (declared.parsed_types().reference(ty), items)
        }
    };
    Ok(ElementSegment { mode, ty, items })
}

/// The functions that expressions refer to, if that is all they do: such a segment need not be evaluated.
fn functions(
    expressions: SectionLimited<'_, wasmparser::ConstExpr<'_>>,
) -> Result<Option<Box<[u32]>>, BinaryReaderError> {
    let mut functions = Vec::new();
    for expr in expressions {
        match ConstExpr::new(&expr?) {
            ConstExpr::RefFunc(function) => functions.push(function),
            _ => return Ok(None),
        }
    }
    Ok(Some(functions.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imported_tag_with_results_is_refused_by_the_name_of_its_proposal() {
        // (module (import "" "" (tag (result i32))))
        let bytes = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x02\x06\x01\0\0\x04\0\0";
        let names: Vec<_> = used_proposals(bytes).iter().map(|proposal| proposal.name).collect();
        assert_eq!(names, ["exceptions", "stack-switching"]);
        assert!(!validate(bytes, Features::executed()));
    }

    #[test]
    fn the_validator_is_the_one_that_the_sources_name() {
        let manifest =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
        let version = VALIDATOR.strip_prefix("wasmparser ").unwrap();
        assert!(manifest.contains(&format!("\nwasmparser = \"={version}\"\n")), "{VALIDATOR}");
    }
}
