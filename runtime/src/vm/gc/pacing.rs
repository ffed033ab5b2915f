//! When to collect: how much may be allocated until the next collection, so that what it does is paid by that.
//!
//! A *minor* collection looks at the roots, at what has been written in old objects, and copies the young objects that live. The
//! stores have paid for the second. For the first, as roots are looked at whole (tables, globals, all frames), the nursery grows with
//! them: [`ROOT`] bytes are allocated for each word that the last collection has looked at, as far as there are addresses. The third is
//! no more than what was allocated.
//!
//! A *full* collection copies all that lives. After one that left L bytes the heap may take as much and half as much again before
//! the next one: the work for each byte that becomes old is two thirds of a copied one.

/// Bytes of young objects between two collections, if roots are few.
const NURSERY: usize = 4 << 20;

/// Bytes that are allocated between two collections for each word of roots.
const ROOT: usize = 8;

/// What a collection has to leave free, as a part of the heap, where the heap may not grow: else the next ones would come
/// sooner and sooner, and each would look at all that lives. So there is a full one for two fifths of that at least that are allocated.
pub(super) const LEAST_FREE: usize = 16;

/// Bytes that must be free after a minor collection, of those that were after the last full one: else a full one follows, or comes at
/// once if that can be foreseen.
pub(super) fn least_free(nursery: usize, free: usize) -> usize {
    nursery.min(free / 5 * 3)
}

/// Large objects are not copied, and the memory that they take when they are young is worth less than the collections that would
/// free it sooner: so many bytes of them count as one.
const LARGE_SHARE: usize = 4;

/// Bytes of young objects until the next collection when the last one has looked at so many words outside of the heap.
pub(super) fn nursery_size(roots: usize) -> usize {
    NURSERY.max(roots.saturating_mul(ROOT))
}

/// Bytes that a heap may hold until the next full collection when the last one has left so many and the nursery has `nursery` at
/// least. As a collection needs room for what lives a second time, that is three and a half times in all.
pub(super) fn budget(live: usize, nursery: usize) -> usize {
    live.saturating_add((live / 2 * 3).max(2 * nursery))
}

/// What young objects weigh, of which so many bytes are in the nursery, so many are large ones, and so many are kept by the host.
pub(super) fn weight(nursery: usize, large: usize, values: usize) -> usize {
    nursery + large / LARGE_SHARE + values
}

/// How many of the young objects a collection has found alive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survival {
    /// Their bytes.
    pub(super) survived: usize,
    /// Bytes of all of them.
    pub(super) of: usize,
}

impl Survival {
    /// Bytes that live of so many young ones, if it is as it was.
    pub(super) fn expected(self, young: usize) -> usize {
        (young as u128 * self.survived as u128 / self.of.max(1) as u128) as usize
    }

    /// What the size of the nursery should be next, which was this, if so many bytes can be allocated between two full
    /// collections. A minor collection that leaves two fifths has copied, with what a full one copies sooner on its account, as much for a
    /// byte that it has freed as full ones alone do; with more time fewer objects are left.
    pub(super) fn next_size(self, size: usize, free: usize) -> usize {
        if self.expected(5) >= 2 {
            (2 * size).min(free.max(size))
        } else if self.expected(5) == 0 {
            size / 2
        } else {
            size
        }
    }
}
