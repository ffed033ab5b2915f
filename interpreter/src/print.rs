//! Bytecode as text: for people who want to see what the translator made of a function, and for its tests.
//!
//! A function is translated anew, with the map of where its instructions stem from. How an instruction reads
//! follows from its name and its fields in the table alone: a new one needs nothing here.

use std::fmt::{self, Write};

use wasmrun_runtime::module::Module;

use crate::code::{Code, Header};
use crate::field::{Field, HEAD, offset};
use crate::handlers::{Clause, Wanted};
use crate::table;
use crate::translate::{self, SourceMap};

/// Why there is no bytecode of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBytecode {
    /// The module does not define a function of this index.
    NotDefined,
    /// Its bytecode would be larger than the engine allows.
    TooLarge,
}

impl fmt::Display for NoBytecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoBytecode::NotDefined => "the module does not define a function of this index",
            NoBytecode::TooLarge => "the function is larger than the engine can run",
        })
    }
}

impl std::error::Error for NoBytecode {}

/// The bytecode of a function, to be shown: one line for each instruction, with its offset in the code, the
/// offset in the module of what it was made of, its name and its operands.
///
/// A destination stands before `<-`. `s` are slots of the value stack, `v` vectors in such a slot and the next, `r` slots of
/// the reference stack, `acc` is the accumulator of the operand's class, and `@` an offset in the code.
#[derive(Debug)]
pub struct Disassembly {
    code: Code,
    instructions: Vec<u8>,
    map: SourceMap,
    /// Functions that the module imports.
    imported: u32,
}

/// Translates a function that `module` defines, to show its bytecode.
pub fn disassemble(module: &Module, function: u32) -> Result<Disassembly, NoBytecode> {
    let imported = module.imported_function_count();
    if function < imported || function >= module.function_count() {
        return Err(NoBytecode::NotDefined);
    }
    let mut map = SourceMap::new();
    // A function that has been validated can only be too large.
    let code = translate::function(module, function, Some(&mut map)).map_err(|_| NoBytecode::TooLarge)?;
    Ok(Disassembly { instructions: code.instructions(), code, map, imported })
}

impl Disassembly {
    /// Bytes of the code, with what callers read before its first instruction.
    pub fn size(&self) -> usize {
        self.code.size()
    }

    /// Number of instructions.
    pub fn instructions(&self) -> usize {
        self.map.len()
    }
}

/// A line of a [`Disassembly`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytecodeLine {
    /// Offset in the code of the instruction; `None` for a line about the frame, a loop or handlers.
    pub offset: Option<u32>,
    /// Offset in the module of what it was made of.
    pub wasm: Option<u32>,
    /// What stands there.
    pub text: String,
}

impl Disassembly {
    /// Its lines, made as they are asked for.
    pub fn lines(&self) -> impl Iterator<Item = BytecodeLine> {
        let header = self.code.header();
        let text = format!(
            "frame of {} slots, return address in s{}, {} set to zero",
            header.frame_bytes / 8,
            header.link,
            header.zeroes
        );
        let mut loops = self.code.loops().iter().peekable();
        let mut handlers =
            self.code.handlers().into_iter().flat_map(|handlers| handlers.changes(SHOWN + 1)).peekable();
        let rest = self.map.iter().flat_map(move |(start, wasm)| {
            let at = *start - Header::SIZE as u32;
            let headers: Vec<_> =
                std::iter::from_fn(|| loops.next_if(|header| header.code == at).map(|header| header.wasm))
                    .collect();
            let lines = headers.into_iter().map(|wasm| BytecodeLine {
                offset: None,
                wasm: Some(wasm),
                text: "loop".to_owned(),
            });
            let changed = std::iter::from_fn(|| handlers.next_if(|(code, _)| *code <= at)).last();
            let changed = changed.map(|(_, clauses)| BytecodeLine {
                offset: None,
                wasm: None,
                text: catches(&clauses),
            });
            let text = self.instruction(at as usize);
            lines.chain(changed).chain([BytecodeLine { offset: Some(at), wasm: Some(*wasm), text }])
        });
        std::iter::once(BytecodeLine { offset: None, wasm: None, text }).chain(rest)
    }
}

impl fmt::Display for Disassembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|BytecodeLine { offset, wasm, text }| match (offset, wasm) {
            (Some(at), Some(wasm)) => writeln!(f, "{at:5} {wasm:#06x} {text}"),
            (_, Some(wasm)) => writeln!(f, "{text} at {wasm:#06x}"),
            _ => writeln!(f, "{text}"),
        })
    }
}

impl Disassembly {
    /// The name and the operands of the instruction at an offset of the code.
    fn instruction(&self, at: usize) -> String {
        let code = &self.instructions[..];
        let opcode = read(code, at, HEAD) as u16;
        let mut text = table::name(opcode).to_owned();
        // Writing to a string does not fail.
        let _ = self.operands(&mut text, code, at, table::fields(opcode));
        text
    }

    fn operands(&self, f: &mut impl Write, code: &[u8], at: usize, fields: &[Field]) -> fmt::Result {
        let mut separator = " ";
        for (i, field) in fields.iter().enumerate() {
            let value = read(code, at + offset(fields, i), field.width());
            f.write_str(separator)?;
            self.operand(f, at, *field, value)?;
            let written =
                matches!(field, Field::Dest | Field::SparedDest | Field::RefDest | Field::VectorDest);
            separator = if written && i + 1 < fields.len() { " <- " } else { ", " };
            if *field == Field::Targets {
                let targets = at + offset(fields, fields.len());
                for target in 0..=value as usize {
                    let width = Field::Displacement.width();
                    let displacement = read(code, targets + target * width, width);
                    f.write_str(" ")?;
                    self.operand(f, at, Field::Displacement, displacement)?;
                }
            }
        }
        Ok(())
    }

    /// An operand of the instruction at `at`.
    fn operand(&self, f: &mut impl Write, at: usize, field: Field, value: u64) -> fmt::Result {
        match field {
            Field::Dest | Field::Slot => write!(f, "s{value}"),
            Field::SparedDest | Field::Acc => f.write_str("acc"),
            Field::RefDest | Field::RefSlot => write!(f, "r{value}"),
            Field::VectorDest | Field::Vector => write!(f, "v{value}"),
            Field::Lane => write!(f, "lane {value}"),
            Field::I32 | Field::I64 => write!(f, "{}", value as i32),
            Field::F32 if !f32::from_bits(value as u32).is_nan() => {
                write!(f, "{:?}", f32::from_bits(value as u32))
            }
            Field::F64 if !f64::from_bits(value).is_nan() => write!(f, "{:?}", f64::from_bits(value)),
            // NaNs differ in their bits.
            Field::F32 | Field::F64 => write!(f, "{value:#x}"),
            Field::Bits32 | Field::Bits64 => write!(f, "{value:#x}"),
            Field::Displacement => write!(f, "@{}", at as i64 + i64::from(value as i32)),
            Field::Targets => write!(f, "{value} targets and default:"),
            Field::Offset => write!(f, "last byte +{value}"),
            Field::Context => write!(f, "context+{value}"),
            Field::Function => write!(f, "function {value}"),
            Field::Defined => write!(f, "function {}", u64::from(self.imported) + value),
            Field::Type => write!(f, "type {value}"),
            Field::Tag => write!(f, "tag {value}"),
            Field::Memory => write!(f, "memory {value}"),
            Field::Table => write!(f, "table {value}"),
            Field::Global => write!(f, "global {value}"),
            Field::Data => write!(f, "data {value}"),
            Field::Element => write!(f, "element {value}"),
            Field::Frame => write!(f, "frame at s{value}"),
            Field::Count => write!(f, "{value} slots"),
            Field::Fuel => write!(f, "{value}"),
            Field::Counter => f.write_str("one more"),
            Field::Callee => write!(f, "last ..{value:04x}"),
            Field::Changes => write!(f, "{value} changes"),
        }
    }
}

/// Clauses that a line shows: there can be any number around an instruction.
const SHOWN: usize = 16;

/// What is caught by the code behind, in words.
fn catches(clauses: &[Clause]) -> String {
    let clause = |Clause { tag, exception, code }: &Clause| {
        let what = tag.map_or("all".to_owned(), |tag| format!("tag {tag}"));
        let reference = match exception {
            Wanted::No => "",
            Wanted::First | Wanted::Last => " with exception",
        };
        format!("{what}{reference} @{code}")
    };
    match clauses {
        [] => "catches nothing".to_owned(),
        _ => {
            let shown: Vec<_> = clauses.iter().take(SHOWN).map(clause).collect();
            format!("catches {}{}", shown.join(", "), if clauses.len() > SHOWN { ", …" } else { "" })
        }
    }
}

/// The number of `width` bytes at `at`, in the order that the machine has.
fn read(code: &[u8], at: usize, width: usize) -> u64 {
    let bytes = &code[at..at + width];
    let digit = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if cfg!(target_endian = "little") {
        bytes.iter().rev().fold(0, digit)
    } else {
        bytes.iter().fold(0, digit)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wasmrun_runtime::features::Features;

    use super::*;

    /// The tests of the golden files use a build without the emitter's checks.
    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn the_emitter_writes_the_fields_that_the_table_has() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        let mut functions = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "wat") {
                continue;
            }
            let bytes = wat::parse_file(&path).unwrap();
            let module = wasmrun_runtime::parse(bytes, Features::default(), &Default::default()).unwrap();
            for function in module.imported_function_count()..module.function_count() {
                let bytecode = disassemble(&module, function).unwrap();
                // A line for the frame, one for each instruction, and perhaps some for loops.
                assert!(bytecode.to_string().lines().count() > bytecode.instructions());
                functions += 1;
            }
        }
        assert!(functions > 15, "{functions}");
    }
}
