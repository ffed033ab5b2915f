//! Writing an artefact.

use super::format::{HEADER, LENGTHS, Layout, MAGIC, Record, Section, VERSION};
use super::identity::{Identity, mode_code, plan_code};
use super::stream;
use crate::arena::Arena;
use crate::compile::CompiledFunction;
use crate::handlers;
use crate::placement;

/// What code is separated by: `int3` on x86, so that a jump to where no function is stops there.
const PADDING: u8 = 0xCC;

/// Why functions do not make an artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A section would have more than 4 GiB.
    #[error("there is more code than an artefact can hold")]
    TooLarge,
    /// Functions do not come in ascending order of their indices.
    #[error("function {0} comes behind one with a higher index")]
    Order(u32),
    /// A function has no code at all.
    #[error("function {0} has no code")]
    Empty(u32),
}

/// Takes functions in the order of their indices and makes an artefact of them.
#[derive(Debug)]
pub struct Encoder {
    identity: Identity,
    functions: Vec<u8>,
    traps: Vec<u8>,
    positions: Vec<u8>,
    stack_maps: Vec<u8>,
    handlers: Vec<u8>,
    refused: Vec<u8>,
    text: String,
    code: Vec<u8>,
    next_function: u32,
    next_refused: u32,
}

impl Encoder {
    /// An artefact of code for `identity`, without functions yet.
    pub fn new(identity: Identity) -> Encoder {
        Encoder {
            identity,
            functions: Vec::new(),
            traps: Vec::new(),
            positions: Vec::new(),
            stack_maps: Vec::new(),
            handlers: Vec::new(),
            refused: Vec::new(),
            text: String::new(),
            code: Vec::new(),
            next_function: 0,
            next_refused: 0,
        }
    }

    /// Whether there is nothing in it yet.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.refused.is_empty()
    }

    /// Appends a function.
    pub fn function(&mut self, compiled: &CompiledFunction) -> Result<(), EncodeError> {
        let CompiledFunction { function, code, alignment, frame, .. } = compiled;
        let next = ascending(self.next_function, *function)?;
        if code.is_empty() {
            return Err(EncodeError::Empty(*function));
        }
        let step = (*alignment as usize).max(Arena::ALIGNMENT);
        let start = placement::start_from(self.code.len(), step, placement::line_at(code));
        place(start.saturating_add(code.len()))?;
        let record = Record {
            function: *function,
            alignment: *alignment,
            frame: *frame,
            code_start: place(start)?,
            code_len: place(code.len())?,
            traps_start: place(self.traps.len())?,
            positions_start: place(self.positions.len())?,
            stack_maps_start: place(self.stack_maps.len())?,
            handlers_start: place(self.handlers.len())?,
        };
        self.functions.extend_from_slice(&record.to_bytes());
        self.code.resize(start, PADDING);
        self.code.extend_from_slice(code);
        stream::write_traps(&mut self.traps, &compiled.traps);
        stream::write_positions(&mut self.positions, &compiled.positions);
        compiled.stack_maps.write(&mut self.stack_maps);
        handlers::write(&compiled.handlers, &mut self.handlers);
        self.next_function = next;
        Ok(())
    }

    /// Notes that a function cannot be compiled.
    pub fn refused(&mut self, function: u32, reason: &str) -> Result<(), EncodeError> {
        let next = ascending(self.next_refused, function)?;
        let start = place(self.text.len())?;
        self.refused.extend_from_slice(&function.to_le_bytes());
        self.refused.extend_from_slice(&start.to_le_bytes());
        self.text.push_str(reason);
        self.next_refused = next;
        Ok(())
    }

    /// The artefact, with an advisory profile and the module's bytes, either of which may be empty.
    pub fn finish(self, profile: &[u8], wasm: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let sections: [&[u8]; Section::COUNT] = [
            &self.functions,
            &self.traps,
            &self.positions,
            &self.stack_maps,
            &self.handlers,
            &self.refused,
            self.text.as_bytes(),
            profile,
            wasm,
            &self.code,
        ];
        for section in sections {
            place(section.len())?;
        }
        let lengths = sections.map(|section| section.len() as u64);
        let layout = Layout::new(lengths).ok_or(EncodeError::TooLarge)?;
        let mut bytes = Vec::with_capacity(layout.total());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[mode_code(self.identity.mode), plan_code(self.identity.plan), 0, 0]);
        bytes.extend_from_slice(&self.identity.build);
        bytes.extend_from_slice(self.identity.module.as_bytes());
        debug_assert_eq!(bytes.len(), LENGTHS);
        lengths.iter().for_each(|len| bytes.extend_from_slice(&len.to_le_bytes()));
        debug_assert_eq!(bytes.len(), HEADER);
        let mut end = HEADER;
        for section in sections {
            end = end.next_multiple_of(super::format::ALIGN);
            bytes.resize(end, 0);
            bytes.extend_from_slice(section);
            end += section.len();
        }
        debug_assert_eq!(end, layout.total());
        Ok(bytes)
    }
}

fn place(at: usize) -> Result<u32, EncodeError> {
    u32::try_from(at).map_err(|_| EncodeError::TooLarge)
}

/// The lowest index that may follow `function`, if that is not below `next`.
fn ascending(next: u32, function: u32) -> Result<u32, EncodeError> {
    if function < next {
        return Err(EncodeError::Order(function));
    }
    function.checked_add(1).ok_or(EncodeError::Order(function))
}
