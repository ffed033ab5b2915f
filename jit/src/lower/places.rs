//! What code belongs to in the source, where functions are inlined: an instruction, and the calls that it is inlined
//! at.
//!
//! Cranelift keeps a number of 32 bits with each instruction. For those of the function itself that is their offset in
//! the module; for inlined ones it is the number of a place, with the highest bit set.

use cranelift_codegen::ir::SourceLoc;

/// Set in numbers of places, and not in offsets where anything is inlined.
const IS_PLACE: u32 = 1 << 31;

/// Modules below this size have offsets that are not taken for places.
pub(super) const MAX_MODULE: usize = IS_PLACE as usize;

/// A function that is inlined somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    number: usize,
}

/// The places of a function's inlined code.
#[derive(Debug, Default)]
pub struct Places {
    /// Where functions are inlined: the place of the call.
    sites: Vec<SourceLoc>,
    /// Instructions: offset in the module, and the number of the site.
    places: Vec<(u32, usize)>,
}

impl Places {
    /// Notes that a function is inlined at a call.
    pub(super) fn add_site(&mut self, call: SourceLoc) -> Site {
        self.sites.push(call);
        Site { number: self.sites.len() - 1 }
    }

    /// The place of the instruction at `offset` of the module: of the function itself, or of one that is inlined.
    pub(super) fn place(&mut self, offset: u32, site: Option<Site>) -> SourceLoc {
        let Some(Site { number }) = site else { return SourceLoc::new(offset) };
        self.places.push((offset, number));
        SourceLoc::new(IS_PLACE | (self.places.len() - 1) as u32)
    }

    /// Offsets in the module: of the instruction, of the call that it is inlined at, and so on outwards.
    pub fn outwards(&self, place: SourceLoc) -> impl Iterator<Item = u32> {
        let mut next = (!place.is_default()).then_some(place);
        std::iter::from_fn(move || {
            let place = next.take()?;
            let (offset, call) = self.step(place);
            next = call;
            Some(offset)
        })
    }

    /// The offset of an instruction, and the place of the call that it is inlined at.
    fn step(&self, place: SourceLoc) -> (u32, Option<SourceLoc>) {
        let bits = place.bits();
        let inlined = (bits & IS_PLACE != 0).then(|| self.places.get((bits & !IS_PLACE) as usize)).flatten();
        match inlined {
            Some((offset, site)) => (*offset, Some(self.sites[*site])),
            None => (bits, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_leads_outwards_through_the_calls() {
        let mut places = Places::default();
        let call = places.place(10, None);
        let outer = places.add_site(call);
        let call = places.place(20, Some(outer));
        let inner = places.add_site(call);
        let place = places.place(30, Some(inner));
        assert_eq!(places.outwards(place).collect::<Vec<_>>(), [30, 20, 10]);
        assert_eq!(places.outwards(SourceLoc::new(7)).collect::<Vec<_>>(), [7]);
        assert_eq!(places.outwards(SourceLoc::default()).count(), 0);
    }
}
