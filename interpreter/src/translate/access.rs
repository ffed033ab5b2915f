//! Loads and stores.

use wasmparser::{MemArg, MemArgTarget};

use super::Translator;
use super::operands::Input;
use super::stack::{Operand, Place, Ty};
use crate::field::Field;
use crate::mode::Class;
use crate::table::{self, BinaryKind, LoadKind, StoreKind};

impl Translator<'_> {
    /// The address and the offset of an access, and whether addresses have 64 bits. An offset that instructions have no room for
    /// is added to the address here.
    pub(super) fn near(&mut self, address: Operand, memarg: MemArg, bytes: u32) -> (Operand, u64, bool) {
        let wide = self.address_ty(memory_of(memarg)) == Ty::I64;
        let offset = memarg.offset;
        if !wide {
            return (address, offset, wide);
        }
        if let Place::Const(bits) = address.place {
            // What there is no address for becomes the last one, where there is no memory.
            let place = Place::Const(bits.saturating_add(offset));
            return (Operand { place, ..address }, 0, wide);
        }
        if offset.saturating_add(bytes.into()) <= u64::from(u32::MAX) {
            return (address, offset, wide);
        }
        let slot = self.in_slot(address);
        let dest = self.push_temp(Ty::I64);
        self.out.op_to(table::FAR_ADDRESS, dest, Some(Class::Int));
        self.out.slot(slot);
        self.out.field(Field::Bits64, offset);
        (self.stack.pop(), 0, wide)
    }

    pub(super) fn load(&mut self, kind: LoadKind, ty: Ty, memarg: MemArg) {
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        if let Some(memory) = other_memory(memarg) {
            let slot = self.in_slot(address);
            let last = last_byte(offset, kind.bytes(), Input::Slot(slot));
            let dest = self.push_temp(ty);
            let Some(last) = last else { return self.out_of_bounds() };
            self.out.op_to(table::load_from(wide, kind), dest, Some(ty.class()));
            self.out.slot(slot);
            self.out.field(Field::Offset, last.into());
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
            return;
        }
        let sum = |modes| table::load_sum(wide, kind, modes);
        let element = |modes| table::load_element(wide, kind, modes);
        if let Some((opcode, from, operands)) = self.computed_address(address, sum, element)
            && let Some(last) = last_byte(offset, kind.bytes(), Input::Acc)
        {
            self.out.retract_last();
            let dest = self.push_temp(ty);
            self.out.op_to(opcode, dest, Some(ty.class()));
            self.out.fields_of(from, &operands);
            self.out.field(Field::Offset, last.into());
            return;
        }
        let input = self.input(address);
        let last = last_byte(offset, kind.bytes(), input);
        let dest = self.push_temp(ty);
        let Some(last) = last else { return self.out_of_bounds() };
        self.out.op_to(table::load(wide, kind, input.mode()), dest, Some(ty.class()));
        if !matches!(input, Input::Imm(_)) {
            self.input_field(input, address.ty);
        }
        self.out.field(Field::Offset, last.into());
    }

    /// The load that computes its address itself, with the instruction before and its operands, if that
    /// computes the address and nothing else reads it. `sum` and `element` say which load, by the address's modes.
    pub(super) fn computed_address(
        &self,
        address: Operand,
        sum: impl Fn(u16) -> Option<u16>,
        element: impl Fn(u16) -> u16,
    ) -> Option<(u16, u16, Vec<u8>)> {
        if address.place != Place::Temp {
            return None;
        }
        let (wide, add) = match address.ty {
            Ty::I64 => (true, BinaryKind::I64Add),
            _ => (false, BinaryKind::I32Add),
        };
        let (from, operands) = self.out.last_for(address.home)?;
        let opcode = match (table::as_element(wide, from), table::as_binary(from)) {
            (Some(modes), _) => element(modes),
            (_, Some((kind, modes))) if kind == add => sum(modes)?,
            _ => return None,
        };
        Some((opcode, from, operands.to_vec()))
    }

    pub(super) fn store(&mut self, kind: StoreKind, memarg: MemArg) {
        let value = self.stack.pop();
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        if let Some(memory) = other_memory(memarg) {
            let slots = (self.in_slot(address), self.in_slot(value));
            let last = last_byte(offset, kind.bytes(), Input::Slot(slots.0));
            let Some(last) = last else { return self.out_of_bounds() };
            self.out.op(table::store_to(wide, kind));
            self.out.slot(slots.0);
            self.out.slot(slots.1);
            self.out.field(Field::Offset, last.into());
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
            return;
        }
        let y = self.input(value);
        let mut x = self.input(address);
        if x == Input::Acc && y == Input::Acc && value.ty.class() == Class::Int {
            x = Input::Slot(self.in_slot(address));
        }
        let Some(last) = last_byte(offset, kind.bytes(), x) else { return self.out_of_bounds() };
        self.out.op(table::store(wide, kind, x.mode(), y.mode()));
        if !matches!(x, Input::Imm(_)) {
            self.input_field(x, address.ty);
        }
        // Narrow stores serve both integer types, and read the lower half of a slot.
        let ty = if value.ty == Ty::I64 && kind != StoreKind::Store64 { Ty::I32 } else { value.ty };
        self.input_field(y, ty);
        self.out.field(Field::Offset, last.into());
    }

    /// An access that no address can make valid.
    pub(super) fn out_of_bounds(&mut self) {
        self.out.op(table::OUT_OF_BOUNDS);
    }

    /// The type of addresses in a memory.
    pub(super) fn address_ty(&self, memory: u32) -> Ty {
        if self.module.memory_type(memory).is_64() { Ty::I64 } else { Ty::I32 }
    }
}

/// The offset of the last byte of an access of `bytes` bytes. `None`: no memory is large enough for it.
pub(super) fn last_byte(offset: u64, bytes: u32, address: Input) -> Option<u32> {
    let constant = match address {
        Input::Imm(bits) => bits,
        _ => 0,
    };
    u32::try_from(offset.checked_add(u64::from(bytes - 1))?.checked_add(constant)?).ok()
}

/// The memory of an access.
pub(super) fn memory_of(memarg: MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(memory) => memory,
        MemArgTarget::Array(_) => unreachable!("modules with arrays are refused at load"),
    }
}

/// The memory of an access, if it is not memory 0.
pub(super) fn other_memory(memarg: MemArg) -> Option<u32> {
    Some(memory_of(memarg)).filter(|memory| *memory != 0)
}
