//! Cranelift's intermediate code as lines. How an instruction reads is Cranelift's own business; only the positions
//! in front are taken off, for they are kept beside the text.

use std::fmt::{self, Write};

use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, Function, Inst, Value};
use cranelift_codegen::write::{FuncWriter, PlainWriter, decorate_function, write_function_spec};

use super::{Line, Listing};
use crate::lower::Places;

/// Spaces before an instruction.
const INDENT: usize = 4;

/// The lines of a function.
pub(super) fn lines(function: &Function, places: &Places) -> Vec<Line> {
    let mut writer = Writer { places, listing: Listing::default() };
    // A text that is too long ends early, and says so.
    let _ = writer.write(function);
    writer.listing.lines
}

/// Takes the pieces of a function as lines. What Cranelift writes around them is not needed.
struct Writer<'p> {
    places: &'p Places,
    listing: Listing,
}

/// Where text goes that nobody reads.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

impl Writer<'_> {
    fn write(&mut self, function: &Function) -> fmt::Result {
        let mut head = String::from("function ");
        write_function_spec(&mut head, function)?;
        self.listing.push(None, None, head + " {")?;
        decorate_function(self, &mut Nowhere, function)?;
        self.listing.push(None, None, "}".to_owned())
    }

    /// Adds the lines of a text, which belong to one place.
    fn push(&mut self, wasm: Option<u32>, text: &str) -> fmt::Result {
        text.lines().try_for_each(|line| self.listing.push(None, wasm, line.to_owned()))
    }
}

impl FuncWriter for Writer<'_> {
    fn write_preamble(&mut self, _: &mut dyn Write, function: &Function) -> Result<bool, fmt::Error> {
        let mut text = String::new();
        let any = PlainWriter.super_preamble(&mut text, function)?;
        self.push(None, &text)?;
        Ok(any)
    }

    fn write_block_header(
        &mut self,
        _: &mut dyn Write,
        function: &Function,
        block: Block,
        _: usize,
    ) -> fmt::Result {
        let mut text = String::from("\n");
        PlainWriter.write_block_header(&mut text, function, block, INDENT)?;
        self.push(None, &text)
    }

    fn write_instruction(
        &mut self,
        _: &mut dyn Write,
        function: &Function,
        aliases: &SecondaryMap<Value, Vec<Value>>,
        inst: Inst,
        _: usize,
    ) -> fmt::Result {
        let position = function.srcloc(inst);
        let mut text = String::new();
        PlainWriter.write_instruction(&mut text, function, aliases, inst, 0)?;
        let prefix = format!("{position} ");
        let text = text.strip_prefix(&prefix).unwrap_or(&text);
        // Of what is inlined, the call.
        let wasm = self.places.outwards(position).last();
        text.lines().try_for_each(|line| self.listing.push(None, wasm, format!("{:INDENT$}{line}", "")))
    }
}
