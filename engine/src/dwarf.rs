//! Source lines of instructions, from the DWARF that a module carries.
//!
//! The debug information is read when the first backtrace asks for it, and kept with its module. Whatever is
//! wrong in it means "no symbol", never an error: the sections are not part of what has been validated.

use std::sync::{Arc, Mutex};

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian, SectionId};
use wasmrun_runtime::module::Module;
use wasmrun_runtime::printable;

use crate::lock::lock;
use crate::symbol::FrameSymbol;

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
            if !is_modest(&dwarf) {
                return None;
            }
            Context::from_dwarf(dwarf).ok()
        });
        Symbols { code_start: code.map_or(0, |s| s.range.start), context: Mutex::new(context) }
    }

    fn find(&self, offset: usize) -> Option<Vec<FrameSymbol>> {
        let address = offset.checked_sub(self.code_start)? as u64;
        let context = lock(&self.context);
        let mut frames = context.as_ref()?.find_frames(address).skip_all_loads().ok()?;
        let mut symbols = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.and_then(|f| f.demangle().ok().map(|name| printable(&name)));
            let location = frame.location;
            let symbol = FrameSymbol {
                name,
                file: location.as_ref().and_then(|l| l.file).map(printable),
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

/// Deepest nesting of entries, and number of address ranges, in debug information that is read. Its reader
/// recurses with the one and copies the other; a module can carry any amount of both.
const MAX_DEPTH: isize = 256;
const MAX_RANGES: usize = 4_000_000;

/// Whether debug information stays within those limits. What cannot be read does not count: its reader stops
/// there as well.
fn is_modest(dwarf: &Dwarf<Reader>) -> bool {
    let mut ranges_left = MAX_RANGES;
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let Ok(unit) = dwarf.unit(header) else { continue };
        let mut entries = unit.entries();
        while let Ok(Some(entry)) = entries.next_dfs() {
            if entry.depth() > MAX_DEPTH {
                return false;
            }
            let Ok(mut ranges) = dwarf.die_ranges(&unit, entry) else { continue };
            while let Ok(Some(_)) = ranges.next() {
                match ranges_left.checked_sub(1) {
                    Some(left) => ranges_left = left,
                    None => return false,
                }
            }
        }
    }
    true
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
