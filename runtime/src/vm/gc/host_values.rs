//! The values of the host that references lead to: in a table of the store, as only numbers go into the heap.
//!
//! A collection moves the values that are kept to another table, as it does with objects, and gives them the next numbers there.
//! So what it does with them takes time in proportion to those that were kept by the last one, or have been made since, and
//! not to the most that there have ever been. Those that have been made since the last collection have the highest
//! numbers: a minor one moves these alone.

use std::any::Any;

/// A value of the host.
pub type HostValue = Box<dyn Any + Send + Sync>;

/// The host values of a store, by number.
#[derive(Debug, Default)]
pub(super) struct HostValues {
    /// All are there but during a collection.
    values: Vec<Option<HostValue>>,
    /// What a collection has kept so far. It has room for all, as nothing can fail then.
    kept: Vec<Option<HostValue>>,
    /// Bytes of all values, as far as that can be seen from outside.
    bytes: usize,
    /// How many values the last collection has kept: the others are young.
    old: usize,
    /// Bytes of these.
    old_bytes: usize,
    /// The first that the collection moves which goes on.
    first: usize,
    /// Values that nothing leads to any more.
    dead: Vec<HostValue>,
}

/// What a value takes besides its own bytes: a place in each of two tables, and what an allocator needs.
const OVERHEAD: usize = 2 * size_of::<Option<HostValue>>() + 16;

/// Places that a table may have without being used.
const SPARE: usize = 1024;

impl HostValues {
    /// Bytes that are taken for a value, as far as that can be seen from outside.
    pub(super) fn bytes_of(value: &HostValue) -> usize {
        size_of_val(&**value) + OVERHEAD
    }

    /// Keeps a value, or discards it when there is no memory for that.
    pub(super) fn insert(&mut self, value: HostValue) -> Option<u32> {
        let bytes = Self::bytes_of(&value);
        let index = u32::try_from(self.values.len()).ok();
        let all = self.values.len() + 1;
        let index = index.filter(|_| {
            self.values.try_reserve(1).is_ok() && self.kept.try_reserve(all - self.kept.len()).is_ok()
        });
        let Some(index) = index else {
            self.discard(value);
            return None;
        };
        self.values.push(Some(value));
        self.bytes += bytes;
        Some(index)
    }

    /// The value with this number.
    pub(super) fn get(&self, index: u32) -> Option<&(dyn Any + Send + Sync)> {
        self.values.get(index as usize)?.as_deref()
    }

    /// The value with this number, to be changed.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut (dyn Any + Send + Sync)> {
        self.values.get_mut(index as usize)?.as_deref_mut()
    }

    /// Bytes of all values, as far as that can be seen from outside.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of those that are young.
    pub(super) fn young_bytes(&self) -> usize {
        self.bytes - self.old_bytes
    }

    /// A collection begins, in which all values are kept or discarded, or the young ones alone.
    pub(super) fn begin(&mut self, minor: bool) {
        self.first = if minor { self.old } else { 0 };
    }

    /// Keeps a value whose object has been reached, which happens once in a collection. Returns its number from now on.
    ///
    /// # Panics
    /// There is none.
    pub(super) fn keep(&mut self, index: u32) -> u32 {
        let value = self.values[index as usize].take();
        self.kept.push(Some(value.expect("an object of the host has a value of its own")));
        (self.first + self.kept.len() - 1) as u32
    }

    /// Puts aside what has not been kept.
    pub(super) fn sweep(&mut self) {
        for value in self.values.drain(self.first..).flatten() {
            self.bytes -= Self::bytes_of(&value);
            self.dead.push(value);
        }
        if self.first == 0 {
            std::mem::swap(&mut self.values, &mut self.kept);
            self.shrink();
        } else {
            self.values.append(&mut self.kept);
        }
        (self.old, self.old_bytes) = (self.values.len(), self.bytes);
    }

    /// What a peak has taken goes back, in steps that are paid by the values that have died.
    fn shrink(&mut self) {
        let most = self.values.len() * 4 + SPARE;
        for table in [&mut self.values, &mut self.kept] {
            if table.capacity() > most {
                table.shrink_to(most / 2);
            }
        }
        // Of what has been kept nothing is made anew before the next collection.
        self.kept.reserve(self.values.len());
    }

    /// Puts a value aside that is not kept.
    pub(super) fn discard(&mut self, value: HostValue) {
        self.dead.push(value);
    }

    /// What has been put aside, to be dropped when nothing of the store is in use.
    pub(super) fn take_dead(&mut self) -> Vec<HostValue> {
        std::mem::take(&mut self.dead)
    }

    /// How many places there are, used or not.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.values.capacity() + self.kept.capacity()
    }
}
