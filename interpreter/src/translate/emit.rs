//! The code buffer: instructions, labels, and what the accumulators hold at the end of the code so far.
//!
//! Every operand is written as a [`Field`]. Builds with assertions compare each with the fields that the table
//! has for the instruction.

use crate::code::Header;
use crate::field::{Field, HEAD};
use crate::mode::Class;
use crate::table;

/// What an accumulator holds: the value of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The slot.
    slot: u16,
    /// Where the opcode of the producer is, when its slot need not be written if the accumulator serves the
    /// only reader.
    producer: Option<usize>,
}

/// The last instruction, as long as nothing can jump behind it.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: usize,
    /// The slot that it writes, when that operand may still be changed.
    dest: Option<u16>,
    /// The accumulators before it.
    before: [Option<Held>; 3],
}

/// A displacement to be filled in: where it is, and the instruction that it counts from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixup {
    at: u32,
    from: u32,
}

/// Offsets of instructions with the offsets of the WebAssembly instructions that they stem from.
pub(crate) type SourceMap = Vec<(u32, u32)>;

#[derive(Debug)]
pub(super) struct Emitter {
    code: Vec<u8>,
    held: [Option<Held>; 3],
    last: Option<Last>,
    map: Option<SourceMap>,
    /// The instruction that was begun last, and how many of its fields there are yet.
    #[cfg(any(test, debug_assertions))]
    begun: Option<(u16, usize)>,
    /// Offset in the module of the WebAssembly instruction that is being translated.
    pub(super) source: u32,
}

impl Emitter {
    pub(super) fn new(with_map: bool) -> Emitter {
        Emitter {
            code: vec![0; Header::SIZE],
            held: [None; 3],
            last: None,
            map: with_map.then(Vec::new),
            #[cfg(any(test, debug_assertions))]
            begun: None,
            source: 0,
        }
    }

    /// The finished code and its source map.
    pub(super) fn finish(mut self, header: Header) -> (Vec<u8>, Option<SourceMap>) {
        #[cfg(any(test, debug_assertions))]
        self.check_complete();
        self.code[..4].copy_from_slice(&header.function.to_ne_bytes());
        self.code[4..8].copy_from_slice(&header.frame_bytes.to_ne_bytes());
        self.code[8..10].copy_from_slice(&header.link.to_ne_bytes());
        self.code[10..12].copy_from_slice(&header.zeroes.to_ne_bytes());
        (self.code, self.map)
    }

    /// Writes another count over the one at `at`.
    pub(super) fn patch_count(&mut self, at: usize, count: u16) {
        self.code[at..at + 2].copy_from_slice(&count.to_ne_bytes());
    }

    /// Where the next instruction will be.
    pub(super) fn here(&self) -> usize {
        self.code.len()
    }

    /// Begins an instruction that writes no slot.
    pub(super) fn op(&mut self, opcode: u16) -> usize {
        #[cfg(any(test, debug_assertions))]
        {
            self.check_complete();
            self.begun = Some((opcode, 0));
        }
        let at = self.here();
        if let Some(map) = &mut self.map {
            map.push((at as u32, self.source));
        }
        self.last = Some(Last { at, dest: None, before: self.held });
        self.code.extend_from_slice(&opcode.to_ne_bytes());
        at
    }

    /// Whether the instruction that was begun last has all of its fields.
    #[cfg(any(test, debug_assertions))]
    fn check_complete(&self) {
        if let Some((opcode, count)) = self.begun {
            let missing = &table::fields(opcode)[count..];
            assert!(missing.iter().all(|f| f.width() == 0), "{} lacks {missing:?}", table::name(opcode));
        }
    }

    /// The next field of the instruction is a `field`.
    #[cfg(any(test, debug_assertions))]
    fn check_next(&mut self, field: Field) {
        let (opcode, count) = self.begun.expect("an instruction");
        let fields = table::fields(opcode);
        let skipped = fields[count..].iter().take_while(|f| f.width() == 0).count();
        assert_eq!(fields.get(count + skipped), Some(&field), "in {}", table::name(opcode));
        self.begun = Some((opcode, count + skipped + 1));
    }

    /// Begins an instruction that writes `dest` and leaves the same in the accumulator of `class`, if one
    /// is given.
    pub(super) fn op_to(&mut self, opcode: u16, dest: u16, class: Option<Class>) -> usize {
        let at = self.op(opcode);
        self.field(Field::Dest, dest.into());
        self.wrote(dest);
        if let Some(class) = class {
            let producer = table::to_acc_delta(opcode).is_some().then_some(at);
            self.held[class as usize] = Some(Held { slot: dest, producer });
        }
        if let Some(last) = &mut self.last {
            last.dest = Some(dest);
        }
        at
    }

    /// Begins an instruction that writes two slots. Neither can be changed to another one.
    pub(super) fn op_to_both(&mut self, opcode: u16, dests: [u16; 2]) {
        self.op(opcode);
        for dest in dests {
            self.field(Field::Dest, dest.into());
            self.wrote(dest);
        }
    }

    /// Begins an instruction that writes a vector to `dest` and the slot behind it.
    pub(super) fn op_to_vector(&mut self, opcode: u16, dest: u16) {
        self.op(opcode);
        self.field(Field::VectorDest, dest.into());
        self.wrote(dest);
        self.wrote(dest + 1);
        if let Some(last) = &mut self.last {
            last.dest = Some(dest);
        }
    }

    /// Appends a field of the instruction; of `value` what it has room for.
    #[inline(always)]
    pub(super) fn field(&mut self, field: Field, value: u64) {
        #[cfg(any(test, debug_assertions))]
        self.check_next(field);
        match field.width() {
            2 => self.code.extend_from_slice(&(value as u16).to_ne_bytes()),
            4 => self.code.extend_from_slice(&(value as u32).to_ne_bytes()),
            _ => self.code.extend_from_slice(&value.to_ne_bytes()),
        }
    }

    /// Appends a value slot that is read.
    pub(super) fn slot(&mut self, slot: u16) {
        self.field(Field::Slot, slot.into());
    }

    /// Appends a reference slot that is read.
    pub(super) fn ref_slot(&mut self, slot: u16) {
        self.field(Field::RefSlot, slot.into());
    }

    /// Appends the first slot of a vector that is read.
    pub(super) fn vector(&mut self, slot: u16) {
        self.field(Field::Vector, slot.into());
    }

    /// Appends a number of slots.
    pub(super) fn count(&mut self, count: u32) {
        self.field(Field::Count, count.into());
    }

    /// Adds to a `u32` in the code.
    pub(super) fn add_u32(&mut self, at: usize, amount: u32) {
        let old = u32::from_ne_bytes(self.code[at..at + 4].try_into().expect("four bytes"));
        self.code[at..at + 4].copy_from_slice(&old.saturating_add(amount).to_ne_bytes());
    }

    /// A slot has been written: no accumulator stands for its old value.
    pub(super) fn wrote(&mut self, slot: u16) {
        for held in &mut self.held {
            if held.is_some_and(|h| h.slot == slot) {
                *held = None;
            }
        }
    }

    /// An accumulator has been written with something that no slot holds.
    pub(super) fn clobber(&mut self, class: Class) {
        self.held[class as usize] = None;
    }

    /// An accumulator holds the value of `slot`, which has been written.
    pub(super) fn holds(&mut self, class: Class, slot: u16) {
        self.held[class as usize] = Some(Held { slot, producer: None });
    }

    /// Whether the accumulator of `class` holds the value of `slot`.
    pub(super) fn in_acc(&self, class: Class, slot: u16) -> bool {
        self.held[class as usize].is_some_and(|h| h.slot == slot)
    }

    /// Takes the value of `slot` from the accumulator for its only reader: its producer need not write the
    /// slot. Returns whether the accumulator holds it.
    pub(super) fn consume_acc(&mut self, class: Class, slot: u16) -> bool {
        if !self.in_acc(class, slot) {
            return false;
        }
        if let Some(Held { producer: Some(at), .. }) = self.held[class as usize] {
            let opcode = self.opcode(at);
            if let Some(delta) = table::to_acc_delta(opcode) {
                self.code[at..at + 2].copy_from_slice(&(opcode + delta).to_ne_bytes());
            }
            if let Some(last) = &mut self.last
                && last.at == at
            {
                last.dest = None;
            }
            self.holds(class, slot);
        }
        true
    }

    /// From here on slots are read that producers have written: none may be spared the write.
    pub(super) fn commit(&mut self) {
        for held in self.held.iter_mut().flatten() {
            held.producer = None;
        }
    }

    /// Code from elsewhere can come here: nothing is known about the accumulators.
    pub(super) fn label(&mut self) {
        self.held = [None; 3];
        self.last = None;
    }

    /// A call has been made: the accumulators hold nothing of ours.
    pub(super) fn called(&mut self) {
        self.label();
    }

    fn opcode(&self, at: usize) -> u16 {
        u16::from_ne_bytes([self.code[at], self.code[at + 1]])
    }

    /// Whether the last instruction writes `slot` and could write another instead.
    pub(super) fn last_writes(&self, slot: u16) -> bool {
        self.last.is_some_and(|l| l.dest == Some(slot))
    }

    /// Makes the last instruction write another slot. If it writes a vector, no accumulator stands for the slot behind either:
    /// both are slots of a local, and of no other.
    pub(super) fn retarget_last(&mut self, from: u16, to: u16) {
        let Some(last) = &mut self.last else { return };
        let at = last.at + HEAD;
        last.dest = Some(to);
        self.code[at..at + 2].copy_from_slice(&to.to_ne_bytes());
        let class = self.held.iter().position(|h| h.is_some_and(|h| h.slot == from));
        self.wrote(from);
        self.wrote(to);
        if let Some(class) = class {
            self.held[class] = Some(Held { slot: to, producer: None });
        }
    }

    /// The last instruction if it is the one that writes `slot`: its opcode, and its operands behind the
    /// destination.
    pub(super) fn last_for(&self, slot: u16) -> Option<(u16, &[u8])> {
        let last = self.last.filter(|l| l.dest == Some(slot))?;
        Some((self.opcode(last.at), &self.code[last.at + HEAD + Field::Dest.width()..]))
    }

    /// Takes the last instruction back.
    pub(super) fn retract_last(&mut self) {
        let Some(last) = self.last.take() else { return };
        self.code.truncate(last.at);
        if let Some(map) = &mut self.map {
            map.truncate(map.partition_point(|(at, _)| (*at as usize) < last.at));
        }
        self.held = last.before;
        self.commit();
        #[cfg(any(test, debug_assertions))]
        {
            self.begun = None;
        }
    }

    /// Changes the opcode of the last instruction.
    pub(super) fn replace_last(&mut self, opcode: u16) {
        if let Some(last) = self.last {
            self.code[last.at..last.at + HEAD].copy_from_slice(&opcode.to_ne_bytes());
            #[cfg(any(test, debug_assertions))]
            {
                self.begun = self.begun.map(|(_, count)| (opcode, count));
            }
        }
    }

    /// Copies a slot; joins a copy before it.
    pub(super) fn copy(&mut self, to: u16, from: u16) {
        if let Some(last) = self.last
            && self.opcode(last.at) == table::COPY
        {
            self.replace_last(table::COPY2);
            self.field(Field::Dest, to.into());
            self.slot(from);
            self.wrote(to);
            self.last = None;
            return;
        }
        self.op_to(table::COPY, to, None);
        self.slot(from);
    }

    /// Appends fields as another instruction had them: those behind the destination of an `opcode`.
    pub(super) fn fields_of(&mut self, opcode: u16, bytes: &[u8]) {
        #[cfg(any(test, debug_assertions))]
        {
            let fields = &table::fields(opcode)[1..];
            assert_eq!(fields.iter().map(|f| f.width()).sum::<usize>(), bytes.len());
            fields.iter().filter(|f| f.width() > 0).for_each(|field| self.check_next(*field));
        }
        #[cfg(not(any(test, debug_assertions)))]
        let _ = opcode;
        self.code.extend_from_slice(bytes);
    }

    /// Appends a displacement from instruction `from` that will be filled in.
    pub(super) fn forward(&mut self, from: usize) -> Fixup {
        let at = self.here();
        self.field(Field::Displacement, 0);
        Fixup { at: at as u32, from: from as u32 }
    }

    /// Appends one behind the `br_table` at `from`.
    pub(super) fn target(&mut self, from: usize) -> Fixup {
        let at = self.here();
        self.code.extend_from_slice(&[0; Field::Displacement.width()]);
        Fixup { at: at as u32, from: from as u32 }
    }

    /// Appends the displacement from instruction `from` to `target`.
    pub(super) fn displacement(&mut self, from: usize, target: usize) {
        self.field(Field::Displacement, (target as i64 - from as i64) as u64);
    }

    /// Fills a displacement in: it leads here.
    pub(super) fn bind(&mut self, fixup: Fixup) {
        self.bind_to(fixup, self.here());
    }

    /// Fills a displacement in: it leads to `target`.
    pub(super) fn bind_to(&mut self, fixup: Fixup, target: usize) {
        let displacement = (target as i64 - i64::from(fixup.from)) as i32;
        let at = fixup.at as usize;
        self.code[at..at + 4].copy_from_slice(&displacement.to_ne_bytes());
    }
}
