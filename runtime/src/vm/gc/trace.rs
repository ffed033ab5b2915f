//! One collection: from the roots to everything that can be reached.

use std::ops::Range;
use std::ptr;

use super::cards::Cards;
use super::host_values::HostValues;
use super::large::LargeObjects;
use super::objects::Objects;
use super::shape::{EXTERN_BYTES, EXTERN_INDEX, Kind};

/// A collection that goes on: it is shown the words that hold references.
#[derive(Debug)]
pub struct Tracer<'h> {
    objects: Objects,
    cards: Cards,
    /// Whether old objects stay where they are.
    minor: bool,
    /// What is moved are the objects that start before this, which are all but the old and the large ones, or but the large ones.
    moved_below: u32,
    /// Where large objects start.
    large_from: u32,
    /// Where those that have been moved start whose references have not been looked at.
    scan: u32,
    /// Where the next one goes.
    top: u32,
    large: &'h mut LargeObjects,
    values: &'h mut HostValues,
    /// Large objects whose references have not been looked at.
    grey: Vec<u32>,
    /// Places of references that are updated when what they lead to has come to the cache; 0 for none.
    ahead: [usize; AHEAD],
    /// Where the one is that has waited longest.
    next: usize,
    /// How much has been looked at for the roots, in words.
    roots: usize,
    /// Where old objects start.
    old_from: u32,
    /// Bytes of young objects that have been moved.
    survived: usize,
}

/// References that wait: objects lie about at random, so that most time would go by waiting for each in turn (Cher, Hosking,
/// Vijaykumar, "Software prefetching for mark-sweep garbage collection", 2004).
const AHEAD: usize = 16;

/// What a collection moves.
#[derive(Debug)]
pub(super) struct Moves {
    /// Whether old objects stay where they are.
    pub(super) minor: bool,
    /// The objects that start before this, but null, are moved.
    pub(super) below: usize,
    /// Those that start before this are young.
    pub(super) young_below: usize,
    /// The first goes here.
    pub(super) to: usize,
}

/// What a collection has found.
#[derive(Debug)]
pub(super) struct Traced {
    /// Where the last object that was moved ends.
    pub(super) end: u32,
    /// How much has been looked at for the roots, in words.
    pub(super) roots: usize,
    /// Bytes of young objects that have been moved.
    pub(super) survived: usize,
}

impl<'h> Tracer<'h> {
    pub(super) fn new(
        objects: Objects,
        moves: &Moves,
        large: &'h mut LargeObjects,
        values: &'h mut HostValues,
    ) -> Tracer<'h> {
        values.begin(moves.minor);
        Tracer {
            objects,
            cards: Cards::of(objects.base),
            minor: moves.minor,
            moved_below: moves.below as u32,
            large_from: large.area().start as u32,
            scan: moves.to as u32,
            top: moves.to as u32,
            large,
            values,
            grey: Vec::new(),
            ahead: [0; AHEAD],
            next: 0,
            roots: 0,
            old_from: moves.young_below as u32,
            survived: 0,
        }
    }

    /// Keeps alive what the reference in a word outside of the heap leads to, and updates the word.
    ///
    /// # Safety
    /// The word is valid. The reference is null, a number, or leads to an object of the heap as it was before the collection.
    #[inline]
    pub unsafe fn visit(&mut self, word: *mut u32) {
        self.roots += 1;
        // SAFETY: the caller's promise.
        unsafe { self.update(word) };
    }

    /// Notes that something was looked at which took as long as so many words that are visited.
    pub fn looked_at(&mut self, words: usize) {
        self.roots += words;
    }

    /// # Safety
    /// As for [`Tracer::visit`].
    // In each loop over references: a collection does little else.
    #[inline(always)]
    unsafe fn update(&mut self, word: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe {
            let reference = word.read();
            if reference == 0 || reference & 1 != 0 {
                return;
            }
            if reference < self.moved_below {
                let forwarding = self.objects.at(reference as usize + 4).read();
                word.write(if forwarding == 0 { self.copy(reference) } else { forwarding });
            } else if reference >= self.large_from {
                self.mark(reference);
            }
        }
    }

    #[cold]
    fn mark(&mut self, reference: u32) {
        if self.large.mark(reference as usize, self.minor) {
            self.grey.push(reference);
        }
    }

    #[inline(always)]
    unsafe fn copy(&mut self, reference: u32) -> u32 {
        // SAFETY: an object is there that has not been copied; there is room for all of them.
        unsafe {
            let bytes = self.objects.bytes(reference);
            let (from, to) = (self.objects.at(reference as usize), self.top);
            copy_words(from.cast::<u8>(), self.objects.at(to as usize).cast::<u8>(), bytes);
            from.add(1).write(to);
            self.cards.starts(to as usize);
            self.survived += if reference < self.old_from { bytes } else { 0 };
            self.top += bytes as u32;
            to
        }
    }

    /// Keeps alive what old objects lead to that are on marked cards, and takes the marks away.
    ///
    /// # Safety
    /// `old` is where objects are one behind the other, which are not moved.
    pub(super) unsafe fn look_at_cards(&mut self, old: Range<usize>) {
        let objects = self.objects;
        // SAFETY: the caller's promise.
        unsafe {
            let mut rest = old.clone();
            while let Some(written) = self.cards.take(rest.clone()) {
                let mut object = self.cards.object_before(old.start, written.start);
                while object < written.end.min(old.end) {
                    object += objects.references_in(object as u32, &written, |place| {
                        self.update(objects.at(place));
                    });
                }
                rest.start = written.end.min(old.end);
            }
            let large: Vec<_> = self.large.old_ones().collect();
            for large in large {
                let mut rest = large.clone();
                while let Some(written) = self.cards.take(rest.clone()) {
                    objects.references_in(large.start as u32, &written, |place| {
                        self.update(objects.at(place));
                    });
                    rest.start = written.end;
                }
            }
        }
    }

    /// Looks at the references of all that can be reached.
    pub(super) unsafe fn finish(mut self) -> Traced {
        // SAFETY: what has been copied or marked are objects.
        unsafe {
            loop {
                while self.scan < self.top {
                    self.scan += self.look_at(self.scan) as u32;
                }
                if self.update_waiting() {
                    continue;
                }
                match self.grey.pop() {
                    Some(object) => self.look_at(object),
                    None => return Traced { end: self.top, roots: self.roots, survived: self.survived },
                };
            }
        }
    }

    /// Updates the references of an object. Returns its bytes.
    #[inline(always)]
    unsafe fn look_at(&mut self, object: u32) -> usize {
        let objects = self.objects;
        // SAFETY: the caller's promise.
        unsafe {
            if objects.kind(object) == Kind::EXTERN {
                let index = objects.at(object as usize + EXTERN_INDEX);
                index.write(self.values.keep(index.read()));
                return EXTERN_BYTES;
            }
            objects.references(object, |place| self.update_soon(place))
        }
    }

    /// Updates the reference at a place a little later, and one that has waited now.
    #[inline(always)]
    unsafe fn update_soon(&mut self, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let reference = self.objects.at(place).read();
            if reference == 0 || reference & 1 != 0 {
                return;
            }
            prefetch(self.objects.at(reference as usize));
            let waiting = std::mem::replace(&mut self.ahead[self.next], place);
            self.next = (self.next + 1) % AHEAD;
            if waiting != 0 {
                self.update(self.objects.at(waiting));
            }
        }
    }

    /// Updates all references that wait. Whether there were any.
    unsafe fn update_waiting(&mut self) -> bool {
        let mut any = false;
        for at in 0..AHEAD {
            let waiting = std::mem::take(&mut self.ahead[at]);
            if waiting != 0 {
                any = true;
                // SAFETY: the place is in an object.
                unsafe { self.update(self.objects.at(waiting)) };
            }
        }
        any
    }
}

/// Copies an object: a multiple of eight bytes. Most have few, for which calling a function takes longer than this.
///
/// # Safety
/// It is at `from`, and there is room for it at `to`.
#[inline(always)]
unsafe fn copy_words(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise. What overlaps is written twice.
    unsafe {
        match bytes {
            ..16 => to.cast::<u64>().write(from.cast::<u64>().read()),
            16..=32 => {
                let (first, last) = (read::<16>(from), read::<16>(from.add(bytes - 16)));
                to.cast::<[u8; 16]>().write(first);
                to.add(bytes - 16).cast::<[u8; 16]>().write(last);
            }
            33..=64 => {
                let (first, last) = (read::<32>(from), read::<32>(from.add(bytes - 32)));
                to.cast::<[u8; 32]>().write(first);
                to.add(bytes - 32).cast::<[u8; 32]>().write(last);
            }
            _ => ptr::copy_nonoverlapping(from, to, bytes),
        }
    }
}

/// # Safety
/// There are so many bytes.
#[inline(always)]
unsafe fn read<const BYTES: usize>(from: *const u8) -> [u8; BYTES] {
    // SAFETY: the caller's promise.
    unsafe { from.cast::<[u8; BYTES]>().read() }
}

/// Asks for what is at an address to be brought to the cache.
#[inline(always)]
fn prefetch(address: *const u32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: this reads nothing, wherever it is.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
