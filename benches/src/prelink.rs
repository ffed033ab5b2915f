//! Takes the imports `bench.start` and `bench.end` out of a module, so that all engines run the same bytes.
//!
//! The programs of sightglass call these two around the part that they want timed. Not every command can be
//! given another module to import from (wasmi's cannot), so the imports become two empty functions of the
//! module itself. They are put first among the functions that the module defines: then these keep their
//! indices, and only the imports behind a removed one move down.
//!
//! Custom sections are left out: what they say of functions and offsets would no longer be true, and no engine
//! may depend on them.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, EntityType, Function, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, CompositeInnerType, CustomSectionReader, FunctionSectionReader, ImportSectionReader,
    Parser, Payload, TypeRef,
};

/// The module that the marks are imported from, and their names.
const MODULE: &str = "bench";
const MARKS: [&str; 2] = ["start", "end"];

/// `wasm` without the marks' imports, or what stands in the way. A module without marks is only re-encoded.
pub fn prelink(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut plan = Plan::read(wasm)?;
    let mut module = Module::new();
    plan.parse_core_module(&mut module, Parser::new(0), wasm).map_err(|error| error.to_string())?;
    Ok(module.finish())
}

/// Which imported functions go, and where the others move.
struct Plan {
    /// How many functions the module imports now.
    imported: u32,
    /// The imports that go, in order.
    marks: Vec<Mark>,
}

struct Mark {
    function: u32,
    ty: u32,
}

impl Plan {
    fn read(wasm: &[u8]) -> Result<Self, String> {
        let mut plan = Self { imported: 0, marks: Vec::new() };
        // For each type, whether it is a function's without parameters and results.
        let mut empty = Vec::new();
        let mut defines_functions = false;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(|error| error.to_string())? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group.map_err(|error| error.to_string())?.into_types() {
                            empty.push(matches!(&ty.composite_type.inner,
                                CompositeInnerType::Func(f) if f.params().is_empty() && f.results().is_empty()));
                        }
                    }
                }
                Payload::ImportSection(section) => plan.read_imports(section, &empty)?,
                Payload::FunctionSection(_) => defines_functions = true,
                _ => {}
            }
        }
        if !plan.marks.is_empty() && !defines_functions {
            return Err("it has no function of its own that could call the marks".to_owned());
        }
        Ok(plan)
    }

    fn read_imports(&mut self, section: ImportSectionReader<'_>, empty: &[bool]) -> Result<(), String> {
        for import in section.into_imports() {
            let import = import.map_err(|error| error.to_string())?;
            let (TypeRef::Func(ty) | TypeRef::FuncExact(ty)) = import.ty else { continue };
            if import.module == MODULE && MARKS.contains(&import.name) {
                if empty.get(ty as usize) != Some(&true) {
                    return Err(format!("its import {MODULE}.{} has parameters or results", import.name));
                }
                self.marks.push(Mark { function: self.imported, ty });
            }
            self.imported += 1;
        }
        Ok(())
    }

    /// Where a function goes.
    fn renumbered(&self, function: u32) -> u32 {
        if function >= self.imported {
            return function;
        }
        let before = self.marks.iter().take_while(|mark| mark.function < function).count();
        match self.marks.get(before) {
            Some(mark) if mark.function == function => self.imported - (self.marks.len() - before) as u32,
            _ => function - before as u32,
        }
    }
}

type Reencoded<T> = Result<T, reencode::Error<Infallible>>;

impl Reencode for Plan {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Reencoded<u32> {
        Ok(self.renumbered(function))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Reencoded<()> {
        let mut functions = 0;
        for import in section.into_imports() {
            let import = import?;
            if matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                functions += 1;
                if self.marks.iter().any(|mark| mark.function == functions - 1) {
                    continue;
                }
            }
            let ty: EntityType = self.entity_type(import.ty)?;
            imports.import(import.module, import.name, ty);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Reencoded<()> {
        for mark in &self.marks {
            functions.function(mark.ty);
        }
        reencode::utils::parse_function_section(self, functions, section)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Reencoded<()> {
        for _ in &self.marks {
            let mut body = Function::new([]);
            body.instructions().end();
            code.function(&body);
        }
        reencode::utils::parse_code_section(self, code, section)
    }

    fn parse_custom_section(&mut self, _: &mut Module, _: CustomSectionReader<'_>) -> Reencoded<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::prelink;

    /// What `prelink` makes of `before` must be, byte for byte, what the text `after` assembles to.
    #[track_caller]
    fn becomes(before: &str, after: &str) {
        let linked = prelink(&wat::parse_str(before).unwrap()).unwrap();
        wasmparser::validate(&linked).unwrap();
        // The text assembler adds a section of names; it goes like any other.
        let expected = prelink(&wat::parse_str(after).unwrap()).unwrap();
        assert_eq!(linked, expected);
    }

    #[test]
    fn every_mention_of_a_function_follows_it_to_its_new_index() {
        becomes(
            r#"(module
                (type $e (func))
                (import "wasi" "a" (func $a (param i32) (result i32)))
                (import "bench" "end" (func $end))
                (import "env" "m" (memory 1))
                (import "wasi" "b" (func $b (param i64)))
                (import "bench" "start" (func $start))
                (import "wasi" "c" (func $c))
                (table 4 funcref)
                (global funcref (ref.func $c))
                (export "b" (func $b)) (export "s" (func $start))
                (start $main)
                (elem (i32.const 0) func $c $end $main $a)
                (func $main call $start (call $b (i64.const 1)) (drop (call $a (i32.const 2))) call $end call $helper
                    return_call $c)
                (func $helper (drop (ref.func $a)) (call_indirect (type $e) (i32.const 0))))"#,
            r#"(module
                (type $e (func))
                (import "wasi" "a" (func $a (param i32) (result i32)))
                (import "env" "m" (memory 1))
                (import "wasi" "b" (func $b (param i64)))
                (import "wasi" "c" (func $c))
                (table 4 funcref)
                (global funcref (ref.func $c))
                (export "b" (func $b)) (export "s" (func $start))
                (start $main)
                (elem (i32.const 0) func $c $end $main $a)
                (func $end)
                (func $start)
                (func $main call $start (call $b (i64.const 1)) (drop (call $a (i32.const 2))) call $end call $helper
                    return_call $c)
                (func $helper (drop (ref.func $a)) (call_indirect (type $e) (i32.const 0))))"#,
        );
    }

    #[test]
    fn a_module_with_one_of_the_marks_is_linked_as_well() {
        becomes(
            r#"(module (import "bench" "start" (func $s)) (import "x" "y" (func $y)) (func call $s call $y))"#,
            r#"(module (type (func)) (import "x" "y" (func $y)) (func $s) (func call $s call $y))"#,
        );
    }

    #[test]
    fn only_the_two_marks_go_and_only_from_their_module() {
        let same = r#"(module (import "bench" "other" (func)) (import "env" "start" (func)) (import "bench" "start" (global i32))
            (func call 0 call 1))"#;
        becomes(same, same);
    }

    #[test]
    fn a_mark_that_takes_or_gives_values_is_refused() {
        let wasm = wat::parse_str(r#"(module (import "bench" "start" (func (param i32))) (func))"#).unwrap();
        assert_eq!(prelink(&wasm).unwrap_err(), "its import bench.start has parameters or results");
    }

    #[test]
    fn marks_that_nothing_could_call_are_refused() {
        let wasm = wat::parse_str(r#"(module (import "bench" "end" (func)))"#).unwrap();
        assert!(prelink(&wasm).unwrap_err().contains("no function of its own"));
    }

    #[test]
    fn bytes_that_are_no_module_are_an_error() {
        assert!(prelink(b"not wasm").is_err());
    }
}
