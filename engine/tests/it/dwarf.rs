//! Backtraces name source lines when a module carries DWARF, and go without when it is broken.

use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Range, RangeList, Sections,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};

use wasmrun::{Error, Instance, Module, Result, Store, WasmBacktrace};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    frames_have_lines_and_inlined_functions
    broken_debug_information_is_none
}

/// One function that traps after two `nop`s; its code section holds 8 bytes, the body from offset 2 on.
const CODE: [u8; 10] = [10, 8, 1, 6, 0, 0x01, 0x01, 0x00, 0x00, 0x0b];

/// Offset of the first `unreachable` in the contents of the code section.
const TRAP: u64 = 5;

fn module(custom: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x07\x01\x03run\0\0".to_vec();
    module.extend(CODE);
    for (name, contents) in custom {
        let mut section = vec![name.len() as u8];
        section.extend(name.bytes());
        section.extend(contents);
        module.push(0);
        // The size as a LEB128 number of four bytes.
        module.extend((0..4).map(|i| (section.len() >> (7 * i)) as u8 & 0x7f | if i < 3 { 0x80 } else { 0 }));
        module.extend(section);
    }
    module
}

/// Debug information: line 10 up to the trap and line 42 from there on, in `outer`, into which `inner` is
/// inlined at the trap.
fn debug_sections() -> Vec<(String, Vec<u8>)> {
    let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 4 };
    let mut dwarf = DwarfUnit::new(encoding);
    let (dir, file) = (LineString::String(b"/src".to_vec()), LineString::String(b"guest.c".to_vec()));
    let mut lines = LineProgram::new(encoding, LineEncoding::default(), dir, None, file, None);
    let dir = lines.default_directory();
    let file = lines.add_file(LineString::String(b"guest.c".to_vec()), dir, None);
    lines.begin_sequence(Some(Address::Constant(2)));
    for (offset, line, column) in [(0, 10, 1), (TRAP - 2, 42, 7)] {
        lines.row().address_offset = offset;
        lines.row().file = file;
        lines.row().line = line;
        lines.row().column = column;
        lines.generate_row();
    }
    lines.end_sequence(6);
    dwarf.unit.line_program = lines;

    let ranges =
        dwarf.unit.ranges.add(RangeList(vec![Range::StartLength { begin: Address::Constant(2), length: 6 }]));
    let root = dwarf.unit.root();
    let set = |dwarf: &mut DwarfUnit, entry, name, value| dwarf.unit.get_mut(entry).set(name, value);
    set(&mut dwarf, root, gimli::DW_AT_ranges, AttributeValue::RangeListRef(ranges));
    set(&mut dwarf, root, gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(0)));
    set(&mut dwarf, root, gimli::DW_AT_name, AttributeValue::String(b"guest.c".to_vec()));
    set(&mut dwarf, root, gimli::DW_AT_comp_dir, AttributeValue::String(b"/src".to_vec()));
    let inner = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    set(&mut dwarf, inner, gimli::DW_AT_name, AttributeValue::String(b"inner".to_vec()));
    set(&mut dwarf, inner, gimli::DW_AT_inline, AttributeValue::Inline(gimli::DW_INL_inlined));
    let outer = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    set(&mut dwarf, outer, gimli::DW_AT_name, AttributeValue::String(b"outer".to_vec()));
    set(&mut dwarf, outer, gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(2)));
    set(&mut dwarf, outer, gimli::DW_AT_high_pc, AttributeValue::Udata(6));
    let call = dwarf.unit.add(outer, gimli::DW_TAG_inlined_subroutine);
    set(&mut dwarf, call, gimli::DW_AT_abstract_origin, AttributeValue::UnitRef(inner));
    set(&mut dwarf, call, gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(TRAP)));
    set(&mut dwarf, call, gimli::DW_AT_high_pc, AttributeValue::Udata(1));
    set(&mut dwarf, call, gimli::DW_AT_call_file, AttributeValue::FileIndex(Some(file)));
    set(&mut dwarf, call, gimli::DW_AT_call_line, AttributeValue::Udata(33));

    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut written = Vec::new();
    sections
        .for_each(|id, data| {
            if !data.slice().is_empty() {
                written.push((id.name().to_owned(), data.slice().to_vec()));
            }
            Ok::<(), gimli::Error>(())
        })
        .unwrap();
    written
}

fn trap(mode: Mode, bytes: &[u8]) -> Result<Error> {
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), bytes)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    Ok(instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ()).unwrap_err())
}

fn frames_have_lines_and_inlined_functions(mode: Mode) -> Result<()> {
    let error = trap(mode, &module(&debug_sections()))?;
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    let symbols: Vec<_> = backtrace.frames()[0]
        .symbols()
        .iter()
        .map(|s| (s.name().unwrap(), s.file().unwrap(), s.line().unwrap(), s.column()))
        .collect();
    assert_eq!(symbols, [("inner", "/src/guest.c", 42, Some(7)), ("outer", "/src/guest.c", 33, None)]);
    let printed = backtrace.to_string();
    assert!(printed.contains("at /src/guest.c:42:7"), "{printed}");
    assert!(printed.contains("at /src/guest.c:33"), "{printed}");
    Ok(())
}

fn broken_debug_information_is_none(mode: Mode) -> Result<()> {
    let good = debug_sections();
    let mut seed = 1u32;
    for round in 0..500 {
        let mut sections = good.clone();
        for (_, contents) in &mut sections {
            for byte in contents.iter_mut() {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                if seed >> 24 < 10 + round % 64 {
                    *byte = (seed >> 16) as u8;
                }
            }
        }
        // It is printed without a panic, whatever it says.
        let error = trap(mode, &module(&sections))?;
        assert!(format!("{error:?}").starts_with("wasm `unreachable` instruction executed"));
    }
    let cut: Vec<_> = good.iter().map(|(n, c)| (n.clone(), c[..c.len() / 2].to_vec())).collect();
    assert!(trap(mode, &module(&cut))?.is::<WasmBacktrace>());
    let none = trap(mode, &module(&[]))?;
    assert!(none.downcast_ref::<WasmBacktrace>().unwrap().frames()[0].symbols().is_empty());
    Ok(())
}
