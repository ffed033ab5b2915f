//! Whether all references from old objects to young ones are on marked cards: a missing write barrier is found by this before
//! what it has forgotten is used. For tests.

use super::cards::Cards;
use super::large::LargeObjects;
use super::nursery::Nursery;
use super::objects::Objects;
use super::old::Old;
use super::shape::Kind;

/// Looks at all old objects.
///
/// # Panics
/// A reference is on a card that is not marked.
///
/// # Safety
/// All are as their kinds say.
pub(super) unsafe fn verify(
    objects: Objects,
    nursery: &Nursery,
    old: &Old,
    large: &LargeObjects,
    young_end: usize,
) {
    let cards = Cards::of(objects.base);
    let is_young = |reference: usize| {
        reference & 1 == 0 && ((nursery.start()..young_end).contains(&reference) || large.is_young(reference))
    };
    // SAFETY: the caller's promise.
    unsafe {
        let look_at = |object: u32| {
            if objects.kind(object) == Kind::EXTERN {
                return objects.bytes(object);
            }
            objects.references(object, |place| {
                let reference = objects.at(place).read();
                assert!(
                    !is_young(reference as usize) || cards.is_marked(place),
                    "{reference:#x}, which is young, was stored to {place:#x} of the old object {object:#x}, and no card was marked"
                );
            })
        };
        let mut at = old.objects().start;
        while at < old.objects().end {
            at += look_at(at as u32);
        }
        large.old_ones().for_each(|place| {
            look_at(place.start as u32);
        });
    }
}
