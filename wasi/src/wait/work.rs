//! Work that grows with a guest's numbers: between its pieces it is looked at whether somebody wants the guest back. What is
//! done is noted, so that a call that is made again goes on behind it.

use super::{Attached, Waiter};
use crate::{Fault, Outcome};
use std::ops::Range;

/// So many bytes are moved or made before it is looked whether somebody wants the guest back: little enough that it
/// takes the slowest of sources some milliseconds, and enough that no system call is felt.
pub(crate) const PIECE: u64 = 1 << 20;

impl Waiter {
    /// Does work on `len` bytes, of which `work` gets a range and says how many it did: fewer than asked end it. What
    /// is more than a [`PIECE`] is done piece by piece. An errno after the first piece is an end, too: what was done
    /// counts, and whoever goes on will see the errno.
    #[inline]
    pub fn in_pieces(&self, len: u64, mut work: impl FnMut(Range<u64>) -> Outcome<u64>) -> Outcome<u64> {
        if len <= PIECE {
            return work(0..len);
        }
        self.prepare()?;
        let mut done = self.done.take();
        while done < len {
            let piece = done..len.min(done + PIECE);
            let asked = piece.end - piece.start;
            match self.check().and_then(|()| work(piece)) {
                Ok(count) => {
                    done += count;
                    if count < asked {
                        break;
                    }
                }
                Err(Fault::Errno(_)) if done > 0 => break,
                Err(fault) => {
                    // Only an engine makes the call again.
                    if self.attached != Attached::No {
                        self.done.set(done);
                    }
                    return Err(fault);
                }
            }
        }
        Ok(done)
    }

    /// Does work on `len` bytes in steps, which go on behind what is done and give how much is done then; a step that
    /// gives `len` is the last. Errnos end it. An engine need not hear of what takes one step.
    pub fn in_steps(&self, len: u64, mut step: impl FnMut(u64) -> Outcome<u64>) -> Outcome {
        let mut done = self.done.take();
        loop {
            done = step(done)?;
            if done >= len {
                return Ok(());
            }
            if let Err(fault) = self.prepare().and_then(|()| self.check()) {
                // Only an engine makes the call again.
                if self.attached != Attached::No {
                    self.done.set(done);
                }
                return Err(fault);
            }
        }
    }
}
