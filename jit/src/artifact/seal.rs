//! A checksum behind the bytes of an artefact, which with a key is a signature.
//!
//! It is a BLAKE3 hash of the hashes of all pieces, so that the cores share the work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmrun_runtime::parallel::on_all_cores;

use super::ArtifactError;

/// Bytes that are hashed at a time.
const PIECE: usize = 256 << 10;

/// Pieces from which on it pays to ask a second core.
const PARALLEL: usize = 8;

/// How artefacts are sealed.
#[derive(Clone)]
pub struct Seal {
    pieces: [u8; 32],
    whole: [u8; 32],
}

impl Seal {
    /// Bytes of a seal.
    pub const BYTES: usize = 32;

    /// A seal that shows accidents. Anyone can make it.
    pub fn checksum() -> Seal {
        Seal::keyed(&[0; 32])
    }

    /// A seal that only those can make who know the key.
    pub fn keyed(key: &[u8; 32]) -> Seal {
        Seal {
            pieces: blake3::derive_key("wasmrun 2026 seal of a piece", key),
            whole: blake3::derive_key("wasmrun 2026 seal of an artefact", key),
        }
    }

    /// Appends the seal of `bytes` to them.
    pub fn close(&self, bytes: &mut Vec<u8>) {
        let seal = self.of(bytes);
        bytes.extend_from_slice(seal.as_bytes());
    }

    /// Removes the seal, if it fits.
    pub fn open(&self, bytes: &mut Vec<u8>) -> Result<(), ArtifactError> {
        let (content, seal) = bytes.split_last_chunk::<{ Seal::BYTES }>().ok_or(ArtifactError::Seal)?;
        // Compared in constant time.
        if self.of(content) != blake3::Hash::from_bytes(*seal) {
            return Err(ArtifactError::Seal);
        }
        bytes.truncate(bytes.len() - Seal::BYTES);
        Ok(())
    }

    fn of(&self, bytes: &[u8]) -> blake3::Hash {
        let pieces: Vec<&[u8]> = bytes.chunks(PIECE).collect();
        let hashes = Mutex::new(vec![[0; 32]; pieces.len()]);
        let next = AtomicUsize::new(0);
        on_all_cores(pieces.len() >= PARALLEL, || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(piece) = pieces.get(at) else { return };
                let hash = blake3::keyed_hash(&self.pieces, piece).into();
                hashes.lock().expect("nothing panics under this lock")[at] = hash;
            }
        });
        let mut whole = blake3::Hasher::new_keyed(&self.whole);
        whole.update(&(bytes.len() as u64).to_le_bytes());
        for hash in hashes.into_inner().expect("nothing panics under this lock") {
            whole.update(&hash);
        }
        whole.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_its_bytes_and_key_and_nothing_else() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 7] {
            let content: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let seal = Seal::keyed(&[3; 32]);
            let mut sealed = content.clone();
            seal.close(&mut sealed);
            assert_eq!(sealed.len(), len + Seal::BYTES);
            for other in [Seal::checksum(), Seal::keyed(&[4; 32])] {
                assert_eq!(other.open(&mut sealed.clone()), Err(ArtifactError::Seal));
            }
            for at in [0, len / 2, len, len + 31] {
                let mut changed = sealed.clone();
                changed[at] ^= 0x10;
                assert_eq!(seal.open(&mut changed), Err(ArtifactError::Seal), "{at} of {len}");
            }
            for shorter in [0, Seal::BYTES - 1, sealed.len() - 1] {
                assert_eq!(seal.open(&mut sealed[..shorter].to_vec()), Err(ArtifactError::Seal));
            }
            seal.open(&mut sealed).unwrap();
            assert_eq!(sealed, content);
        }
    }
}
