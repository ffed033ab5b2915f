//! Reading an artefact.
//!
//! All structure is checked when it is read; from then on every access is to a place that is known to exist.

use std::fmt;

use super::ArtifactError;
use super::format::{ALIGN, HEADER, LENGTHS, Layout, MAGIC, Record, Section, VERSION};
use super::identity::{Identity, ModuleHash, mode_of, plan_of};
use super::stored::Stored;
use crate::compile::CompiledFunction;
use crate::handlers::StoredHandlers;
use crate::stack_maps::StoredStackMaps;

/// An artefact whose structure is sound.
#[derive(Clone, Debug)]
pub struct Artifact {
    tables: Tables,
    identity: Identity,
}

/// What is left of an artefact when its code has been installed: which code belongs to what.
#[derive(Clone)]
pub struct Tables {
    /// The artefact; when the code is installed only what comes before [`Section::Wasm`].
    bytes: Vec<u8>,
    layout: Layout,
}

impl Artifact {
    /// Reads an artefact, without its [seal](super::Seal). It becomes the owner of the bytes and allocates nothing.
    ///
    /// # Errors
    /// The bytes are not an artefact of this version, or its structure is not sound.
    pub fn new(bytes: Vec<u8>) -> Result<Artifact, ArtifactError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(ArtifactError::Magic);
        }
        let version = bytes.get(8..12).ok_or(ArtifactError::Damaged("the header is cut off"))?;
        let version = u32::from_le_bytes(version.try_into().expect("four bytes"));
        if version != VERSION {
            return Err(ArtifactError::Version(version));
        }
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            return Err(ArtifactError::Damaged("the header is cut off"));
        };
        let identity = identity(header)?;
        let (lengths, _) = header[LENGTHS..].as_chunks::<8>();
        let lengths = std::array::from_fn(|section| u64::from_le_bytes(lengths[section]));
        let layout = Layout::new(lengths).filter(|layout| layout.total() == bytes.len());
        let layout = layout.ok_or(ArtifactError::Damaged("its sections are not as long as it is"))?;
        let tables = Tables { bytes, layout };
        tables.check_functions()?;
        tables.check_stack_maps()?;
        tables.check_refused()?;
        Ok(Artifact { tables, identity })
    }

    /// Whether bytes begin as artefacts do.
    pub fn detect(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// What the code was made for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Which functions there are.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The code of all functions, with padding between them, for a place that is aligned as each of them asks.
    pub fn code(&self) -> &[u8] {
        self.tables.section(Section::Code)
    }

    /// Advice from earlier runs.
    pub fn profile(&self) -> &[u8] {
        self.tables.section(Section::Profile)
    }

    /// The module's bytes, if they are in it.
    pub fn wasm(&self) -> &[u8] {
        self.tables.section(Section::Wasm)
    }

    /// The functions that cannot be compiled, with the reasons.
    pub fn refused(&self) -> impl Iterator<Item = (u32, &str)> {
        let text = self.text();
        let records = self.tables.refused();
        records.iter().enumerate().map(move |(at, record)| {
            let (function, start) = refused_record(record);
            let end = records.get(at + 1).map_or(text.len(), |next| refused_record(next).1);
            (function, &text[start..end])
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.tables.section(Section::Text)).expect("checked when it was read")
    }

    /// A copy of a function, as the compiler made it.
    pub fn function(&self, function: u32) -> Option<CompiledFunction> {
        let stored = self.tables.function(function)?;
        Some(stored.to_compiled(&self.code()[stored.code()]))
    }

    /// Forgets the code and everything that only its owner could need.
    pub fn into_tables(self) -> Tables {
        let Tables { mut bytes, layout } = self.tables;
        bytes.truncate(layout.range(Section::Wasm).start);
        bytes.shrink_to_fit();
        Tables { bytes, layout }
    }
}

fn identity(header: &[u8; HEADER]) -> Result<Identity, ArtifactError> {
    let hash = |start: usize| -> [u8; 32] { header[start..start + 32].try_into().expect("32 bytes") };
    let mode = mode_of(header[12]).ok_or(ArtifactError::Damaged("there is no such mode"))?;
    let plan = plan_of(header[13]).ok_or(ArtifactError::Damaged("there is no such memory plan"))?;
    if header[14..16] != [0; 2] {
        return Err(ArtifactError::Damaged("reserved bytes are not zero"));
    }
    Ok(Identity { build: hash(16), module: ModuleHash::from_bytes(hash(48)), plan, mode })
}

impl Tables {
    pub(super) fn section(&self, section: Section) -> &[u8] {
        &self.bytes[self.layout.range(section)]
    }

    pub(super) fn records(&self) -> &[[u8; Record::BYTES]] {
        self.section(Section::Functions).as_chunks().0
    }

    fn refused(&self) -> &[[u8; 8]] {
        self.section(Section::Refused).as_chunks().0
    }

    fn check_functions(&self) -> Result<(), ArtifactError> {
        let damaged =
            |condition: bool, what| if condition { Err(ArtifactError::Damaged(what)) } else { Ok(()) };
        let code = self.section_len(Section::Code);
        let (traps, positions) = (self.section_len(Section::Traps), self.section_len(Section::Positions));
        let stack_maps = self.section_len(Section::StackMaps);
        let handlers = self.section_len(Section::Handlers);
        damaged(!self.section_len(Section::Functions).is_multiple_of(Record::BYTES), "half a function")?;
        let (mut next_function, mut code_end) = (0, 0);
        let (mut last_traps, mut last_positions, mut last_stack_maps) = (0, 0, 0);
        let mut last_handlers = 0;
        for record in self.records() {
            let record = Record::from_bytes(record);
            damaged(u64::from(record.function) < next_function, "functions are not in order")?;
            let alignment = record.alignment as usize;
            damaged(!alignment.is_power_of_two() || alignment > ALIGN, "no such alignment")?;
            let start = record.code_start as usize;
            damaged(start < code_end || !start.is_multiple_of(alignment), "code is not where it can be")?;
            let end = start.checked_add(record.code_len as usize).filter(|end| *end <= code);
            code_end = end.ok_or(ArtifactError::Damaged("code goes beyond the end"))?;
            damaged(record.code_len == 0, "a function without code")?;
            let traps_start = record.traps_start as usize;
            damaged(!(last_traps..=traps).contains(&traps_start), "traps are not in order")?;
            let positions_start = record.positions_start as usize;
            damaged(!(last_positions..=positions).contains(&positions_start), "positions are not in order")?;
            let stack_maps_start = record.stack_maps_start as usize;
            damaged(
                !(last_stack_maps..=stack_maps).contains(&stack_maps_start),
                "stack maps are not in order",
            )?;
            let handlers_start = record.handlers_start as usize;
            damaged(!(last_handlers..=handlers).contains(&handlers_start), "handlers are not in order")?;
            (last_traps, last_positions, last_stack_maps) = (traps_start, positions_start, stack_maps_start);
            last_handlers = handlers_start;
            next_function = u64::from(record.function) + 1;
        }
        for stored in self.functions() {
            let is_sound =
                StoredHandlers::are_sound(stored.handlers(), stored.code().len() as u32, stored.frame());
            damaged(!is_sound, "handlers are not as they should be")?;
        }
        Ok(())
    }

    fn check_stack_maps(&self) -> Result<(), ArtifactError> {
        let is_sound = |stored: Stored<'_>| {
            StoredStackMaps::is_sound(stored.stack_maps(), stored.code().len() as u32, stored.frame())
        };
        match self.functions().all(is_sound) {
            true => Ok(()),
            false => Err(ArtifactError::Damaged("stack maps are not as they should be")),
        }
    }

    fn check_refused(&self) -> Result<(), ArtifactError> {
        let damaged = ArtifactError::Damaged("reasons are not as they should be");
        if !self.section_len(Section::Refused).is_multiple_of(8) {
            return Err(damaged);
        }
        let text = std::str::from_utf8(self.section(Section::Text)).map_err(|_| damaged.clone())?;
        let (mut next_function, mut last_start) = (0, 0);
        for record in self.refused() {
            let (function, start) = refused_record(record);
            if u64::from(function) < next_function || start < last_start || !text.is_char_boundary(start) {
                return Err(damaged);
            }
            (next_function, last_start) = (u64::from(function) + 1, start);
        }
        Ok(())
    }

    fn section_len(&self, section: Section) -> usize {
        self.layout.range(section).len()
    }

    /// How many functions have code.
    pub fn len(&self) -> usize {
        self.records().len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.records().is_empty()
    }

    /// The functions that have code, in ascending order.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = Stored<'_>> {
        (0..self.len()).map(|at| Stored::new(self, at))
    }

    /// The function with this index in the module, if it has code.
    pub fn function(&self, function: u32) -> Option<Stored<'_>> {
        let index = |record: &[u8; Record::BYTES]| Record::from_bytes(record).function;
        let at = self.records().binary_search_by_key(&function, index).ok()?;
        Some(Stored::new(self, at))
    }

    /// The function to which the byte at an offset in the code belongs. Async-signal-safe.
    #[inline]
    pub fn function_at(&self, offset: usize) -> Option<Stored<'_>> {
        let starts_before =
            |record: &[u8; Record::BYTES]| Record::from_bytes(record).code_start as usize <= offset;
        let at = self.records().partition_point(starts_before).checked_sub(1)?;
        let stored = Stored::new(self, at);
        stored.code().contains(&offset).then_some(stored)
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("functions", &self.len()).field("bytes", &self.bytes.len()).finish()
    }
}

fn refused_record(record: &[u8; 8]) -> (u32, usize) {
    let [function, start] = [0, 1].map(|at| u32::from_le_bytes(record.as_chunks::<4>().0[at]));
    (function, start as usize)
}
