//! The data of a file in memory: sparse pages, paid for from the budget of the whole tree.
//!
//! A length costs nothing, whatever it is; only pages that have been written to or reserved exist. No number from a
//! guest therefore allocates more than the budget allows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{IoSlice, IoSliceMut};

use crate::errno::Errno;

/// The unit in which data is allocated and paid for.
const PAGE: usize = 4096;

/// The longest file, as on hosts, where lengths are signed.
const MAX_LEN: u64 = i64::MAX as u64;

/// What a tree may hold, in bytes.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Budget {
        Budget { left: bytes }
    }

    pub(super) fn take(&mut self, bytes: u64) -> Result<(), Errno> {
        self.left = self.left.checked_sub(bytes).ok_or(Errno::Nospc)?;
        Ok(())
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.left += bytes;
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }
}

/// The data of one file.
#[derive(Debug, Default)]
pub(super) struct Content {
    len: u64,
    /// By page number; what is missing reads as zeros. Bytes of a page beyond `len` are zero.
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

/// Where `position` is: which page, and where in it.
fn locate(position: u64) -> (u64, usize) {
    (position / PAGE as u64, (position % PAGE as u64) as usize)
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What it costs.
    pub(super) fn cost(&self) -> u64 {
        self.pages.len() as u64 * PAGE as u64
    }

    /// Reads from `position` until the buffers are full or the data ends.
    pub(super) fn read(&self, bufs: &mut [IoSliceMut<'_>], position: u64) -> usize {
        let mut done = 0;
        for buf in bufs {
            let mut buf = &mut buf[..];
            while !buf.is_empty() {
                let at = position.saturating_add(done as u64);
                let (page, start) = locate(at);
                let available = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
                let len = buf.len().min(PAGE - start).min(available);
                if len == 0 {
                    return done;
                }
                let (now, rest) = buf.split_at_mut(len);
                match self.pages.get(&page) {
                    Some(page) => now.copy_from_slice(&page[start..start + len]),
                    None => now.fill(0),
                }
                buf = rest;
                done += len;
            }
        }
        done
    }

    /// Writes at `position`: as much as the budget and the largest length allow, an error if that is nothing.
    pub(super) fn write(
        &mut self,
        bufs: &[IoSlice<'_>],
        position: u64,
        budget: &mut Budget,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        for buf in bufs {
            let mut buf = &buf[..];
            while !buf.is_empty() {
                let at = position.saturating_add(done as u64);
                let room = usize::try_from(MAX_LEN.saturating_sub(at)).unwrap_or(usize::MAX);
                let (page, start) = locate(at);
                let len = buf.len().min(PAGE - start).min(room);
                let refused = if len == 0 { Some(Errno::Fbig) } else { self.reserve(page, budget).err() };
                if let Some(error) = refused {
                    return if done > 0 { Ok(done) } else { Err(error) };
                }
                let (now, rest) = buf.split_at(len);
                if let Some(page) = self.pages.get_mut(&page) {
                    page[start..start + len].copy_from_slice(now);
                }
                buf = rest;
                done += len;
                self.len = self.len.max(at + len as u64);
            }
        }
        Ok(done)
    }

    /// Sees to it that a page exists.
    fn reserve(&mut self, page: u64, budget: &mut Budget) -> Result<(), Errno> {
        if let Entry::Vacant(entry) = self.pages.entry(page) {
            budget.take(PAGE as u64)?;
            entry.insert(Box::new([0; PAGE]));
        }
        Ok(())
    }

    /// Cuts or extends.
    pub(super) fn set_len(&mut self, len: u64, budget: &mut Budget) -> Result<(), Errno> {
        if len > MAX_LEN {
            return Err(Errno::Inval);
        }
        if len < self.len {
            let (page, start) = locate(len);
            let gone = self.pages.split_off(&len.div_ceil(PAGE as u64));
            budget.give_back(gone.len() as u64 * PAGE as u64);
            if let Some(page) = self.pages.get_mut(&page) {
                page[start..].fill(0);
            }
        }
        self.len = len;
        Ok(())
    }

    /// Reserves the pages of a range, all or none, and extends the length to its end.
    pub(super) fn allocate(&mut self, position: u64, len: u64, budget: &mut Budget) -> Result<(), Errno> {
        let end = position.checked_add(len).filter(|&end| end <= MAX_LEN).ok_or(Errno::Fbig)?;
        let pages = position / PAGE as u64..end.div_ceil(PAGE as u64);
        // Before anything whose time depends on the guest's number.
        let count = pages.end - pages.start;
        let existing = self.pages.range(pages.clone()).count() as u64;
        if (count - existing).checked_mul(PAGE as u64).is_none_or(|bytes| bytes > budget.left()) {
            return Err(Errno::Nospc);
        }
        for page in pages {
            self.reserve(page, budget)?;
        }
        self.len = self.len.max(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(content: &mut Content, data: &[u8], position: u64, budget: &mut Budget) -> Result<usize, Errno> {
        content.write(&[IoSlice::new(data)], position, budget)
    }

    fn read(content: &Content, len: usize, position: u64) -> Vec<u8> {
        let mut data = vec![0xee; len];
        let read = content.read(&mut [IoSliceMut::new(&mut data)], position);
        data.truncate(read);
        data
    }

    #[test]
    fn a_huge_length_costs_nothing_and_reads_as_zeros() {
        let mut budget = Budget::new(PAGE as u64);
        let mut content = Content::default();
        content.set_len(MAX_LEN, &mut budget).unwrap();
        assert_eq!(content.cost(), 0);
        assert_eq!(read(&content, 3, MAX_LEN - 2), [0, 0]);
        assert_eq!(content.set_len(MAX_LEN + 1, &mut budget), Err(Errno::Inval));
    }

    #[test]
    fn writing_stops_where_the_budget_ends_and_says_how_far_it_got() {
        let mut budget = Budget::new(2 * PAGE as u64);
        let mut content = Content::default();
        assert_eq!(write(&mut content, &[7; 3 * PAGE], 0, &mut budget), Ok(2 * PAGE));
        assert_eq!(write(&mut content, &[7], 2 * PAGE as u64, &mut budget), Err(Errno::Nospc));
        assert_eq!(content.len(), 2 * PAGE as u64);
        content.set_len(1, &mut budget).unwrap();
        assert_eq!(budget.left(), PAGE as u64);
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let mut budget = Budget::new(1 << 20);
        let mut content = Content::default();
        write(&mut content, &[7; PAGE + 10], 0, &mut budget).unwrap();
        content.set_len(5, &mut budget).unwrap();
        content.set_len(PAGE as u64 + 10, &mut budget).unwrap();
        assert_eq!(read(&content, 7, 0), [7, 7, 7, 7, 7, 0, 0]);
        assert_eq!(read(&content, 20, PAGE as u64), [0; 10]);
    }

    #[test]
    fn the_last_position_is_the_largest_signed_number() {
        let mut budget = Budget::new(1 << 20);
        let mut content = Content::default();
        assert_eq!(write(&mut content, b"ab", MAX_LEN - 1, &mut budget), Ok(1));
        assert_eq!(write(&mut content, b"b", MAX_LEN, &mut budget), Err(Errno::Fbig));
        assert_eq!(content.len(), MAX_LEN);
    }

    #[test]
    fn reserving_takes_all_or_nothing() {
        let mut budget = Budget::new(2 * PAGE as u64);
        let mut content = Content::default();
        assert_eq!(content.allocate(0, 1 << 62, &mut budget), Err(Errno::Nospc));
        assert_eq!(content.allocate(1, u64::MAX, &mut budget), Err(Errno::Fbig));
        assert_eq!((content.len(), budget.left()), (0, 2 * PAGE as u64));
        content.allocate(PAGE as u64 - 1, 2, &mut budget).unwrap();
        assert_eq!((content.len(), budget.left()), (PAGE as u64 + 1, 0));
    }

    #[test]
    fn buffers_are_scattered_and_gathered_in_order() {
        let mut budget = Budget::new(1 << 20);
        let mut content = Content::default();
        let bufs = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")];
        assert_eq!(content.write(&bufs, 4094, &mut budget), Ok(4));
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(content.read(bufs, 4094), 4);
        assert_eq!((&first, &second[..1]), (b"abc", &b"d"[..]));
    }
}
