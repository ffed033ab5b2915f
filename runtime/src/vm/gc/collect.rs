//! The collections of a heap.

use std::ops::Range;
use std::time::Instant;

use super::cards::Cards;
use super::collector::Collector;
use super::pacing::Survival;
use super::stress::{FEW, POISON};
use super::trace::{Moves, Traced, Tracer};
use super::{GcWords, Heap, pacing, verify};

/// Shows the references outside of a heap to a collection.
pub(super) type Roots<'r> = dyn FnMut(&mut Tracer<'_>) + 'r;

impl Heap {
    /// Frees what cannot be reached, and moves the rest. Values of the host that are freed wait for [`Heap::take_dead`].
    ///
    /// # Safety
    /// `roots` visits every word outside of the heap that holds a reference and is read later. Those words, and the
    /// references in objects, are null, numbers, or lead to objects of this heap; these are as their shapes say. Cards have
    /// been marked wherever a reference was stored into an object but by whoever has made it.
    pub unsafe fn collect(&mut self, words: &mut GcWords, roots: &mut Roots<'_>) {
        let below = self.large.area().start;
        let moves = Moves { minor: false, below, young_below: self.nursery.most_end(), to: self.old.other() };
        // SAFETY: the caller's promise. The other half has as much room as old and young objects take.
        unsafe { self.run(words, &moves, roots) };
    }

    /// Frees young objects that cannot be reached, and moves the others to the old ones.
    ///
    /// # Safety
    /// As for [`Heap::collect`].
    pub(super) unsafe fn collect_young(&mut self, words: &mut GcWords, roots: &mut Roots<'_>) {
        let below = words.top as usize;
        let moves = Moves { minor: true, below, young_below: below, to: self.old.objects().end };
        // SAFETY: the caller's promise. The nursery is never fuller than there is room behind the old objects.
        unsafe { self.run(words, &moves, roots) };
    }

    unsafe fn run(&mut self, words: &mut GcWords, moves: &Moves, roots: &mut Roots<'_>) {
        if self.collector == Collector::Null {
            return;
        }
        let begin = Instant::now();
        let objects = self.objects();
        if self.stress.is_some() && moves.minor {
            // SAFETY: the caller's promise.
            unsafe { verify::verify(objects, &self.nursery, &self.old, &self.large, words.top as usize) };
        }
        let unfinished = Unfinished;
        self.stats.peak = self.stats.peak.max(self.used(words));
        self.stats.allocated += self.young_bytes(words) as u64;
        let old = self.old.objects();
        let mut tracer = Tracer::new(objects, moves, &mut self.large, &mut self.values);
        roots(&mut tracer);
        // SAFETY: the caller's promise.
        let traced = unsafe {
            if moves.minor {
                tracer.look_at_cards(old);
            }
            tracer.finish()
        };
        self.values.sweep();
        if moves.minor {
            self.large.sweep_young(&mut self.reservation, self.stress.is_some());
            self.old.set_top(traced.end as usize);
        } else {
            self.large.sweep(&mut self.reservation, self.stress.is_some());
            let garbage = self.old.turn(&mut self.reservation, traced.end as usize, self.page);
            // SAFETY: nothing is there any more.
            unsafe { Cards::of(self.reservation.base()).clear(garbage.clone()) };
            self.poison(garbage);
        }
        self.stats.roots += traced.roots as u64;
        self.stats.promoted += traced.survived as u64;
        self.empty_nursery(words, &traced);
        if !moves.minor {
            let budget = pacing::budget(self.used(words), self.nursery_least);
            self.threshold = budget.min(self.granted).max(self.used(words));
        }
        self.set_end(words);
        std::mem::forget(unfinished);
        let kind = if moves.minor { &mut self.stats.minor } else { &mut self.stats.full };
        kind.add(begin.elapsed());
    }

    /// Begins anew where objects are made, of which none is left, by how much has been looked at for the roots.
    fn empty_nursery(&mut self, words: &mut GcWords, traced: &Traced) {
        let young = self.nursery.start()..words.top as usize;
        let mut size = self.nursery.size();
        // A few objects say nothing about the others.
        if young.len() >= size / 2 {
            self.survival = Survival { survived: traced.survived, of: young.len() };
            size = self.survival.next_size(size, self.left_free);
        }
        self.nursery_least = pacing::nursery_size(traced.roots).min(self.nursery.most());
        self.nursery.resize(&mut self.reservation, size.max(self.nursery_least), self.page);
        if self.stress.is_some() {
            self.poison(young.clone());
            self.nursery.rotate(young.end, FEW);
        } else {
            self.nursery.empty(&mut self.reservation, young.end, self.page);
        }
        words.top = self.nursery.start() as u32;
    }

    /// Makes what has been moved useless where it was, if somebody wants to see whether it is used.
    fn poison(&mut self, garbage: Range<usize>) {
        if self.stress.is_some() {
            // SAFETY: nothing is there any more.
            unsafe { self.at(garbage.start).cast::<u8>().write_bytes(POISON, garbage.len()) };
        }
    }
}

/// A collection that goes on. A panic in it means that the heap is not as it should be, and leaves references that lead to
/// where nothing is any more: it ends the process, before somebody catches it and goes on.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        eprintln!("a panic in a collection: the heap of the store is damaged, and the process ends");
        std::process::abort();
    }
}
