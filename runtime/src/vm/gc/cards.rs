//! Which places of old objects have been written since the last collection, and where objects start there.
//!
//! A minor collection must find the references from old objects to young ones without looking at all old objects. So
//! whoever stores a reference into an object *marks the card* of the place: a byte of a table that has one for each
//! `CARD` bytes of the heap, at a fixed distance below the heap's base. That takes no branch, and no look at what the
//! object is or what is stored; marks in young objects mean nothing.
//!
//! ```text
//! [ where the last object of a card starts | marks | the heap, from its base on ]
//!   base - 2 * TABLE                         base - TABLE
//! ```
//!
//! The collector looks for marked cards in the part of the table that belongs to old objects, eight at a time: for a gibibyte of
//! those it reads eight mebibytes. What it looks at on a card is what lies on it and no more, however long an array is,
//! so that the work is in proportion to the stores that have been made. To find the first object that reaches a card,
//! there is another table, which whoever places an old object writes.

use std::ops::Range;

use super::reservation::MOST;

/// How far an offset in the heap is shifted for its card.
pub const CARD_SHIFT: u32 = 7;

/// Bytes of a card.
pub(super) const CARD: usize = 1 << CARD_SHIFT;

/// Bytes of each table.
pub(super) const TABLE: usize = MOST >> CARD_SHIFT;

/// How far below the heap's base the mark of its first card is.
pub const CARDS: usize = TABLE;

/// Marks the card of a place in the heap with this base.
///
/// # Safety
/// There is a heap with this base, and the place is in an object of it.
#[inline(always)]
pub(in crate::vm) unsafe fn mark_card(base: *mut u8, place: usize) {
    // SAFETY: the caller's promise: the table has a byte for each card.
    unsafe { base.sub(CARDS).add(place >> CARD_SHIFT).write(1) };
}

/// Marks the cards of a range of places.
///
/// # Safety
/// As for [`mark_card`], for each of them.
pub(in crate::vm) unsafe fn mark_cards(base: *mut u8, places: Range<usize>) {
    let cards = places.start >> CARD_SHIFT..places.end.div_ceil(CARD);
    // SAFETY: the caller's promise.
    unsafe { base.sub(CARDS).add(cards.start).write_bytes(1, cards.len()) };
}

/// The tables of a heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cards {
    marks: *mut u8,
    starts: *mut u8,
}

impl Cards {
    /// Those of the heap with this base.
    pub(super) fn of(base: *mut u8) -> Cards {
        Cards { marks: base.wrapping_sub(CARDS), starts: base.wrapping_sub(CARDS + TABLE) }
    }

    /// Whether the card of a place is marked.
    ///
    /// # Safety
    /// The heap is there, and the place is in it. The same holds for what is below.
    pub(super) unsafe fn is_marked(self, place: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.marks.add(place >> CARD_SHIFT).read() != 0 }
    }

    /// Takes the marks from the cards that have bytes of a range. Returns the first that had one and those behind it that had one as
    /// well, as the range of their bytes.
    pub(super) unsafe fn take(self, range: Range<usize>) -> Option<Range<usize>> {
        let end = range.end.div_ceil(CARD);
        let mut card = range.start >> CARD_SHIFT;
        // SAFETY: the caller's promise; words are read where all of their bytes are of the range.
        unsafe {
            while card < end && self.marks.add(card).read() == 0 {
                card += 1;
                if card.is_multiple_of(8) {
                    while card + 8 <= end && self.marks.add(card).cast::<u64>().read() == 0 {
                        card += 8;
                    }
                }
            }
            let first = card;
            while card < end && self.marks.add(card).read() != 0 {
                self.marks.add(card).write(0);
                card += 1;
            }
            (first < card).then_some(first * CARD..card * CARD)
        }
    }

    /// An object of the old generation starts here, behind all others.
    #[inline]
    pub(super) unsafe fn starts(self, object: usize) {
        // SAFETY: the caller's promise. Objects are aligned to eight bytes, and 0 is for cards on which none starts.
        unsafe { self.starts.add(object >> CARD_SHIFT).write(((object % CARD) / 8) as u8 + 1) };
    }

    /// The last object of the old generation that starts before a place, or there if it is the first of all.
    pub(super) unsafe fn object_before(self, first: usize, place: usize) -> usize {
        let mut card = place >> CARD_SHIFT;
        // SAFETY: the caller's promise; an object starts at `first`.
        unsafe {
            while card > first >> CARD_SHIFT {
                card -= 1;
                match self.starts.add(card).read() {
                    0 => {}
                    start => return card * CARD + (usize::from(start) - 1) * 8,
                }
            }
        }
        first
    }

    /// Forgets what was in a range, which begins and ends with a card.
    pub(super) unsafe fn clear(self, range: Range<usize>) {
        let (first, count) = (range.start >> CARD_SHIFT, range.len().div_ceil(CARD));
        // SAFETY: the caller's promise.
        unsafe {
            self.marks.add(first).write_bytes(0, count);
            self.starts.add(first).write_bytes(0, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_and_taken_once_wherever_they_are() {
        // A heap of so many cards, with its tables.
        const CARDS_HERE: usize = 100;
        let mut memory = vec![0_u64; (2 * TABLE + CARDS_HERE * CARD) / 8];
        let base = memory.as_mut_ptr().cast::<u8>().wrapping_add(2 * TABLE);
        let cards = Cards::of(base);
        for marked in [vec![], vec![0], vec![7, 8], vec![3, 40, 41, 42, 99], (0..CARDS_HERE).collect()] {
            // SAFETY: the tables are there.
            unsafe {
                marked.iter().for_each(|card| mark_card(base, card * CARD + 5));
                let (mut rest, mut found) = (10..CARDS_HERE * CARD - 10, Vec::new());
                while let Some(taken) = cards.take(rest.clone()) {
                    found.extend(taken.clone().step_by(CARD).map(|place| place / CARD));
                    rest.start = taken.end.min(rest.end);
                }
                assert_eq!(found, marked);
                assert!(!cards.is_marked(7 * CARD) && cards.take(0..CARDS_HERE * CARD).is_none());
                mark_cards(base, CARD - 1..CARD + 1);
                assert_eq!(cards.take(0..CARDS_HERE * CARD), Some(0..2 * CARD));
            }
        }
    }

    #[test]
    fn the_object_that_reaches_a_card_is_found_over_those_on_which_none_starts() {
        let mut memory = vec![0_u64; (2 * TABLE + 100 * CARD) / 8];
        let cards = Cards::of(memory.as_mut_ptr().cast::<u8>().wrapping_add(2 * TABLE));
        let first = 4 * CARD;
        let objects = [first, first + 8, first + 16, first + 40 * CARD, first + 41 * CARD + 120];
        // SAFETY: the tables are there.
        unsafe {
            objects.iter().for_each(|object| cards.starts(*object));
            for (place, object) in [(0, 0), (1, 2), (39, 2), (40, 2), (41, 3), (42, 4), (60, 4)] {
                assert_eq!(cards.object_before(first, first + place * CARD), objects[object], "{place}");
            }
            cards.clear(first..first + 90 * CARD);
            assert_eq!(cards.object_before(first, first + 80 * CARD), first);
        }
    }
}
