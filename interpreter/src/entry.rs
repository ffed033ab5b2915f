//! What the table knows of an instruction: its handlers for both dispatchers, and its description.

use crate::dispatch::{Handler, Step, step, tail};
use crate::field::Field;
use crate::machine::Op;

/// One instruction.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) handler: Handler,
    pub(crate) step: Step,
    pub(crate) description: Description,
}

/// The entry of an instruction.
pub(crate) const fn entry<O: Op>() -> Entry {
    Entry { handler: tail::<O>, step: step::<O>, description: Description::of(O::NAME, O::FIELDS) }
}

/// Longest name and most fields of an instruction.
const MAX_NAME: usize = 31;
const MAX_FIELDS: usize = 7;

/// The name and the fields of an instruction. Held in place: two pointers for each of 2,600 instructions would
/// be relocated whenever the program starts.
#[derive(Clone, Copy)]
pub(crate) struct Description {
    name: [u8; MAX_NAME],
    name_len: u8,
    fields: [Field; MAX_FIELDS],
    field_count: u8,
}

impl Description {
    const fn of(parts: &[&str], list: &[Field]) -> Description {
        let mut name = [0; MAX_NAME];
        let mut name_len = 0;
        let mut part = 0;
        while part < parts.len() {
            let bytes = parts[part].as_bytes();
            let mut i = 0;
            while i < bytes.len() {
                name[name_len] = bytes[i];
                name_len += 1;
                i += 1;
            }
            part += 1;
        }
        let mut fields = [Field::Acc; MAX_FIELDS];
        let mut i = 0;
        while i < list.len() {
            fields[i] = list[i];
            i += 1;
        }
        Description { name, name_len: name_len as u8, fields, field_count: list.len() as u8 }
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        let name = &self.name[..self.name_len.into()];
        std::str::from_utf8(name).expect("names are put together from strings")
    }

    /// The fields.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields[..self.field_count.into()]
    }
}
