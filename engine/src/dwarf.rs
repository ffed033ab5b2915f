//! Source lines of instructions, from the DWARF that a module carries.
//!
//! The debug information is read when the first backtrace asks for it, and kept with its module. Whatever is
//! wrong in it means "no symbol", never an error: the sections are not part of what has been validated.

use std::sync::{Arc, Mutex, PoisonError};

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian, SectionId};
use wasmrun_runtime::module::Module;

use crate::backtrace::FrameSymbol;

type Reader = EndianArcSlice<LittleEndian>;

/// The debug information of a module.
struct Symbols {
    /// Addresses count from here: the first byte of the code section's contents.
    code_start: usize,
    // The context fills caches as it answers.
    context: Mutex<Option<Context<Reader>>>,
}

/// Where the instruction at `offset` comes from, innermost inlined function first.
pub(crate) fn lookup(module: &Module, offset: u32) -> Vec<FrameSymbol> {
    let symbols = module.debug_info().get_or_init(|| Box::new(Symbols::of(module)));
    let Some(symbols) = symbols.downcast_ref::<Symbols>() else { return Vec::new() };
    symbols.find(offset as usize).unwrap_or_default()
}

impl Symbols {
    fn of(module: &Module) -> Symbols {
        let code = module.sections().iter().find(|s| !s.custom && s.name == "code");
        let context = code.and_then(|_| {
            let dwarf = Dwarf::load(|id| Ok::<_, gimli::Error>(section(module, id))).ok()?;
            Context::from_dwarf(dwarf).ok()
        });
        Symbols { code_start: code.map_or(0, |s| s.range.start), context: Mutex::new(context) }
    }

    fn find(&self, offset: usize) -> Option<Vec<FrameSymbol>> {
        let address = offset.checked_sub(self.code_start)? as u64;
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frames = context.as_ref()?.find_frames(address).skip_all_loads().ok()?;
        let mut symbols = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.and_then(|f| f.demangle().ok().map(|name| name.into_owned()));
            let location = frame.location;
            let symbol = FrameSymbol {
                name,
                file: location.as_ref().and_then(|l| l.file).map(str::to_owned),
                line: location.as_ref().and_then(|l| l.line),
                column: location.as_ref().and_then(|l| l.column),
            };
            if symbol.name.is_some() || symbol.file.is_some() {
                symbols.push(symbol);
            }
        }
        Some(symbols)
    }
}

/// The contents of a debug section; empty if the module has none.
fn section(module: &Module, id: SectionId) -> Reader {
    let found = module.sections().iter().find(|s| s.custom && s.name == id.name());
    let contents = found.map_or(&[][..], |s| custom_contents(&module.bytes()[s.range.clone()], id.name()));
    Reader::new(Arc::from(contents), LittleEndian)
}

/// What follows the name in a custom section.
fn custom_contents<'a>(section: &'a [u8], name: &str) -> &'a [u8] {
    // The name's length is a LEB128 number of one to five bytes; then comes the name.
    let prefix = section.iter().position(|byte| byte & 0x80 == 0).map_or(section.len(), |last| last + 1);
    section.get(prefix + name.len()..).unwrap_or_default()
}
