//! The values of the host that references lead to: in a table of the store, as only numbers go into the heap.

use std::any::Any;

/// A value of the host.
pub type HostValue = Box<dyn Any + Send + Sync>;

#[derive(Debug)]
struct Slot {
    value: Option<HostValue>,
    marked: bool,
}

/// The host values of a store, by number.
#[derive(Debug, Default)]
pub(super) struct HostValues {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Bytes of all values, as far as that can be seen from outside.
    bytes: usize,
    /// Values that nothing leads to any more.
    dead: Vec<HostValue>,
}

/// What a value takes besides its own bytes: its slot, and what an allocator needs.
const OVERHEAD: usize = size_of::<Slot>() + 16;

impl HostValues {
    /// Bytes that are taken for a value, as far as that can be seen from outside.
    pub(super) fn bytes_of(value: &HostValue) -> usize {
        size_of_val(&**value) + OVERHEAD
    }

    /// Keeps a value, or discards it when there is no memory for that.
    pub(super) fn insert(&mut self, value: HostValue) -> Option<u32> {
        let bytes = Self::bytes_of(&value);
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize].value = Some(value);
                index
            }
            None => {
                let index = u32::try_from(self.slots.len()).ok();
                let Some(index) = index.filter(|_| self.slots.try_reserve(1).is_ok()) else {
                    self.discard(value);
                    return None;
                };
                self.slots.push(Slot { value: Some(value), marked: false });
                index
            }
        };
        self.bytes += bytes;
        Some(index)
    }

    /// The value with this number.
    pub(super) fn get(&self, index: u32) -> Option<&(dyn Any + Send + Sync)> {
        self.slots.get(index as usize)?.value.as_deref()
    }

    /// The value with this number, to be changed.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut (dyn Any + Send + Sync)> {
        self.slots.get_mut(index as usize)?.value.as_deref_mut()
    }

    /// Bytes of all values, as far as that can be seen from outside.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that something leads to a value.
    pub(super) fn mark(&mut self, index: u32) {
        self.slots[index as usize].marked = true;
    }

    /// Puts aside what is not marked, and takes the marks away.
    pub(super) fn sweep(&mut self) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if !std::mem::replace(&mut slot.marked, false)
                && let Some(value) = slot.value.take()
            {
                self.bytes -= Self::bytes_of(&value);
                self.dead.push(value);
                self.free.push(index as u32);
            }
        }
    }

    /// Puts a value aside that is not kept.
    pub(super) fn discard(&mut self, value: HostValue) {
        self.dead.push(value);
    }

    /// What has been put aside, to be dropped when nothing of the store is in use.
    pub(super) fn take_dead(&mut self) -> Vec<HostValue> {
        std::mem::take(&mut self.dead)
    }
}
