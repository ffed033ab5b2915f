//! A function of an artefact.

use std::fmt;
use std::ops::Range;

use cranelift_codegen::ir::TrapCode;

use super::Tables;
use super::format::{Record, Section};
use super::stream;
use crate::compile::CompiledFunction;
use crate::handlers::{Handler, StoredHandlers};
use crate::stack_maps::{StackMaps, StoredStackMaps};

/// A function of an artefact: little more than its place, as one is looked up for each frame that an exception goes through.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    tables: &'a Tables,
    /// Which of their records is this one's.
    at: usize,
}

impl<'a> Stored<'a> {
    /// The function with the record `at`, which there is.
    pub(super) fn new(tables: &'a Tables, at: usize) -> Stored<'a> {
        Stored { tables, at }
    }

    fn record(&self) -> Record {
        Record::from_bytes(&self.tables.records()[self.at])
    }

    /// Its index in its module.
    pub fn function(&self) -> u32 {
        self.record().function
    }

    /// What the address of the code has to be a multiple of.
    pub fn alignment(&self) -> u32 {
        self.record().alignment
    }

    /// Bytes of its frame.
    pub fn frame(&self) -> u32 {
        self.record().frame
    }

    /// Where its code is in [`Artifact::code`](super::Artifact::code).
    pub fn code(&self) -> Range<usize> {
        let Record { code_start, code_len, .. } = self.record();
        let start = code_start as usize;
        start..start + code_len as usize
    }

    /// The function's part of a section, which begins where its record says.
    fn part(&self, section: Section, start: impl Fn(Record) -> u32) -> &'a [u8] {
        let (records, bytes) = (self.tables.records(), self.tables.section(section));
        let start = |at: usize| Some(start(Record::from_bytes(records.get(at)?)) as usize);
        &bytes[start(self.at).unwrap_or(0)..start(self.at + 1).unwrap_or(bytes.len())]
    }

    fn traps(&self) -> &'a [u8] {
        self.part(Section::Traps, |record| record.traps_start)
    }

    fn positions(&self) -> &'a [u8] {
        self.part(Section::Positions, |record| record.positions_start)
    }

    pub(super) fn stack_maps(&self) -> &'a [u8] {
        self.part(Section::StackMaps, |record| record.stack_maps_start)
    }

    pub(super) fn handlers(&self) -> &'a [u8] {
        self.part(Section::Handlers, |record| record.handlers_start)
    }

    /// The reason for which the instruction at `offset` of the function's code traps. Async-signal-safe.
    pub fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        stream::traps(self.traps()).find(|(at, _)| *at == offset).map(|(_, code)| code)
    }

    /// The offset in the module of the instruction that the byte at `offset` of the function's code belongs to. See
    /// [`CompiledFunction::wasm_offset`].
    pub fn wasm_offset(&self, offset: u32) -> Option<u32> {
        self.outwards(offset).next()
    }

    /// The same, and behind it the calls that it is inlined at, outwards.
    pub fn outwards(&self, offset: u32) -> impl Iterator<Item = u32> {
        let positions = self.positions();
        let until = || stream::positions(positions).take_while(move |(start, _)| *start <= offset);
        let last = until().last().map(|(start, _)| start);
        let inwards: Vec<u32> = until().filter(|(start, _)| Some(*start) == last).map(|(_, at)| at).collect();
        inwards.into_iter().rev()
    }

    /// How many bytes below the frame pointer references are during the call that returns to the offset `at`.
    pub fn references(&self, at: u32) -> impl Iterator<Item = u32> + use<'a> {
        StoredStackMaps::new(self.stack_maps()).references(at)
    }

    /// Where an exception goes on that comes out of the call which returns to the offset `at`.
    pub fn handler_at(&self, at: u32) -> Option<Handler> {
        StoredHandlers::new(self.handlers()).at(at)
    }

    /// A copy as the compiler made it; its code is given apart.
    pub fn to_compiled(&self, code: &[u8]) -> CompiledFunction {
        CompiledFunction {
            function: self.function(),
            code: code.to_vec(),
            alignment: self.alignment(),
            frame: self.frame(),
            traps: stream::traps(self.traps()).collect(),
            positions: stream::positions(self.positions()).collect(),
            stack_maps: StackMaps::read(self.stack_maps()),
            handlers: StoredHandlers::new(self.handlers()).iter().collect(),
        }
    }
}

impl fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (function, code) = (self.function(), self.code());
        f.debug_struct("Stored").field("function", &function).field("code", &code).finish_non_exhaustive()
    }
}
