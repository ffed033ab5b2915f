//! Random numbers: the host's, or a reproducible sequence.
//!
//! Invariant: the sequence of a seed does not depend on how requests are cut into chunks, as long as the chunks are
//! multiples of four bytes, which those of `random_get` are.

use crate::Errno;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where a guest's random numbers come from.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    Host,
    Seeded(Box<ChaCha12Rng>),
}

impl Random {
    /// The host's cryptographic generator.
    pub fn host() -> Random {
        Random(Source::Host)
    }

    /// The same numbers in every run. Not secret: not for guests that make keys.
    pub fn seeded(seed: u64) -> Random {
        Random(Source::Seeded(Box::new(ChaCha12Rng::seed_from_u64(seed))))
    }

    /// Fills the bytes.
    ///
    /// # Errors
    /// [`Errno::Io`] if the host's generator fails.
    #[inline]
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        match &mut self.0 {
            Source::Host => getrandom::fill(bytes).map_err(|_| Errno::Io),
            Source::Seeded(generator) => {
                generator.fill_bytes(bytes);
                Ok(())
            }
        }
    }

    /// One word for reports.
    pub(crate) fn describe(&self) -> &'static str {
        match self.0 {
            Source::Host => "host",
            Source::Seeded(_) => "seeded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_however_it_is_cut() {
        let (mut whole, mut parts) = ([0; 256], [0; 256]);
        Random::seeded(7).fill(&mut whole).unwrap();
        let mut generator = Random::seeded(7);
        parts.chunks_mut(64).for_each(|part| generator.fill(part).unwrap());
        assert_eq!(whole, parts);
        let mut other = [0; 256];
        Random::seeded(8).fill(&mut other).unwrap();
        assert_ne!(whole, other);
    }

    #[test]
    fn the_host_does_not_repeat_itself() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        Random::host().fill(&mut first).unwrap();
        Random::host().fill(&mut second).unwrap();
        assert_ne!(first, second);
    }
}
