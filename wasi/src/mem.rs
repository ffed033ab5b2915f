//! Guest memory as host calls see it: the only place of this crate that touches guest bytes.
//!
//! Invariants: every address is checked in 64-bit arithmetic against the memory's length before anything is read or
//! written; a pointer that does not fit is a trap and names the parameter; numbers are little endian; misalignment is
//! allowed unless `strict`, because no code depends on it being refused and old toolchains misalign. Callers validate
//! all their out-pointers ([`GuestMem::check`]) before their first side effect.
//!
//! The methods copy, or lend slices only for the time of one closure. Of a memory that threads share nobody can borrow
//! bytes: there the slices are those of a copy, and numbers and buffers are read once, so that what was checked is what is
//! used.

use crate::abi::{IOVEC, Layout};
use crate::{Errno, Fault, Outcome};
use std::borrow::Cow;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;
use wasmrun::SharedMemory;

/// The most `iovec`s that one call may pass, as on Linux.
const MAX_IOVECS: u32 = 1024;
/// So many `iovec`s need no allocation: the C libraries pass one or two.
const INLINE_IOVECS: usize = 8;

/// A guest's linear memory for the time of one host call.
pub struct GuestMem<'a> {
    bytes: Bytes<'a>,
    strict: bool,
}

/// The bytes of a guest.
enum Bytes<'a> {
    Own(&'a mut [u8]),
    /// Those of a memory that threads share. It only grows: what was found to be inside of it stays there.
    Shared(&'a SharedMemory),
}

impl Bytes<'_> {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Bytes::Own(bytes) => bytes.len(),
            Bytes::Shared(memory) => memory.data_size(),
        }
    }

    /// Copies from a range that is inside of the memory, as long as the buffer.
    #[inline]
    fn read(&self, start: usize, to: &mut [u8]) {
        match self {
            Bytes::Own(bytes) => to.copy_from_slice(&bytes[start..][..to.len()]),
            Bytes::Shared(memory) => memory.read(start, to).expect(INSIDE),
        }
    }

    /// Copies to a range that is inside of the memory, as long as the buffer.
    #[inline]
    fn write(&mut self, start: usize, from: &[u8]) {
        match self {
            Bytes::Own(bytes) => bytes[start..][..from.len()].copy_from_slice(from),
            Bytes::Shared(memory) => memory.write(start, from).expect(INSIDE),
        }
    }
}

const INSIDE: &str = "a range that is inside of a memory stays there";

impl<'a> GuestMem<'a> {
    /// The memory that consists of these bytes.
    pub fn new(bytes: &'a mut [u8]) -> GuestMem<'a> {
        GuestMem { bytes: Bytes::Own(bytes), strict: false }
    }

    /// A memory that threads share.
    pub fn shared(memory: &'a SharedMemory) -> GuestMem<'a> {
        GuestMem { bytes: Bytes::Shared(memory), strict: false }
    }

    /// Whether a pointer that is not aligned for its type traps.
    pub fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// The trap for an address range that does not fit; pages are what WebAssembly counts in.
    #[cold]
    fn outside(&self, what: &str, address: u64, len: u64) -> Fault {
        let size = self.bytes.len();
        if size.is_multiple_of(65536) {
            Fault::Trap(format!("{what} {address:#x}+{len} outside {} pages", size / 65536))
        } else {
            Fault::Trap(format!("{what} {address:#x}+{len} outside {size} bytes"))
        }
    }

    #[inline]
    fn range(&self, what: &str, address: u64, len: u64) -> Result<Range<usize>, Fault> {
        // A range of length zero is nowhere, so it may be anywhere.
        if len == 0 {
            return Ok(0..0);
        }
        // No overflow: addresses have 32 bits, and lengths are products of at most two 32-bit numbers' worth of bytes.
        match address.checked_add(len) {
            Some(end) if end <= self.bytes.len() as u64 => Ok(address as usize..end as usize),
            _ => Err(self.outside(what, address, len)),
        }
    }

    #[inline]
    fn aligned(&self, what: &str, address: u32, align: u32) -> Result<(), Fault> {
        if self.strict && !address.is_multiple_of(align) {
            return Err(Fault::Trap(format!("{what} {address:#x} is not aligned to {align} bytes")));
        }
        Ok(())
    }

    /// Traps unless a value of this layout fits at the address.
    #[inline]
    pub fn check(&self, what: &str, address: u32, layout: Layout) -> Result<(), Fault> {
        self.check_array(what, address, 1, layout)
    }

    /// Traps unless that many values of this layout fit at the address.
    #[inline]
    pub fn check_array(&self, what: &str, address: u32, count: u32, layout: Layout) -> Result<(), Fault> {
        self.aligned(what, address, layout.align)?;
        self.range(what, address.into(), u64::from(count) * u64::from(layout.size)).map(drop)
    }

    /// Traps unless that many bytes fit at the address.
    #[inline]
    pub fn check_bytes(&self, what: &str, address: u32, len: u32) -> Result<(), Fault> {
        self.range(what, address.into(), len.into()).map(drop)
    }

    #[inline]
    fn read<const N: usize>(&self, what: &str, address: u32, align: u32) -> Result<[u8; N], Fault> {
        self.aligned(what, address, align)?;
        let range = self.range(what, address.into(), N as u64)?;
        let mut value = [0; N];
        self.bytes.read(range.start, &mut value);
        Ok(value)
    }

    #[inline]
    fn write<const N: usize>(
        &mut self,
        what: &str,
        address: u32,
        align: u32,
        value: [u8; N],
    ) -> Result<(), Fault> {
        self.aligned(what, address, align)?;
        let range = self.range(what, address.into(), N as u64)?;
        self.bytes.write(range.start, &value);
        Ok(())
    }

    /// Reads a byte.
    #[inline]
    pub fn read_u8(&self, what: &str, address: u32) -> Result<u8, Fault> {
        self.read::<1>(what, address, 1).map(|[byte]| byte)
    }

    /// Reads 16 bits.
    #[inline]
    pub fn read_u16(&self, what: &str, address: u32) -> Result<u16, Fault> {
        self.read(what, address, 2).map(u16::from_le_bytes)
    }

    /// Reads 32 bits.
    #[inline]
    pub fn read_u32(&self, what: &str, address: u32) -> Result<u32, Fault> {
        self.read(what, address, 4).map(u32::from_le_bytes)
    }

    /// Reads 64 bits.
    #[inline]
    pub fn read_u64(&self, what: &str, address: u32) -> Result<u64, Fault> {
        self.read(what, address, 8).map(u64::from_le_bytes)
    }

    /// Writes 16 bits.
    #[inline]
    pub fn write_u16(&mut self, what: &str, address: u32, value: u16) -> Result<(), Fault> {
        self.write(what, address, 2, value.to_le_bytes())
    }

    /// Writes 32 bits.
    #[inline]
    pub fn write_u32(&mut self, what: &str, address: u32, value: u32) -> Result<(), Fault> {
        self.write(what, address, 4, value.to_le_bytes())
    }

    /// Writes 64 bits.
    #[inline]
    pub fn write_u64(&mut self, what: &str, address: u32, value: u64) -> Result<(), Fault> {
        self.write(what, address, 8, value.to_le_bytes())
    }

    /// Copies bytes into the guest.
    #[inline]
    pub fn write_bytes(&mut self, what: &str, address: u32, bytes: &[u8]) -> Result<(), Fault> {
        let range = self.range(what, address.into(), bytes.len() as u64)?;
        self.bytes.write(range.start, bytes);
        Ok(())
    }

    /// Copies bytes out of the guest. The caller has bounded `len`; memory itself bounds it too.
    pub fn read_vec(&self, what: &str, address: u32, len: u32) -> Result<Vec<u8>, Fault> {
        let range = self.range(what, address.into(), len.into())?;
        let mut bytes = vec![0; range.len()];
        self.bytes.read(range.start, &mut bytes);
        Ok(bytes)
    }

    /// Lends a range of the guest, to be written whole.
    #[inline]
    pub fn fill(
        &mut self,
        what: &str,
        address: u32,
        len: u32,
        fill: impl FnOnce(&mut [u8]) -> Outcome,
    ) -> Outcome {
        let range = self.range(what, address.into(), len.into())?;
        match &mut self.bytes {
            Bytes::Own(bytes) => fill(&mut bytes[range]),
            Bytes::Shared(_) => {
                let mut copy = vec![0; range.len()];
                fill(&mut copy)?;
                self.bytes.write(range.start, &copy);
                Ok(())
            }
        }
    }

    /// Reads and checks a list of `iovec`s and every buffer in it. More than 1024, or a sum that does not fit in 32
    /// bits, is `EINVAL`. Of the buffers, only the first `budget` bytes are kept: reads and writes may be short.
    pub fn iovecs(&self, what: &str, address: u32, count: u32, budget: u64) -> Result<IoVecs, Fault> {
        if count > MAX_IOVECS {
            return Err(Errno::Inval.into());
        }
        self.check_array(what, address, count, IOVEC)?;
        let mut list = IoVecs::default();
        let mut sum = 0u64;
        for index in 0..count {
            let at = address + index * IOVEC.size;
            let (buffer, len) = (self.read_u32(what, at)?, self.read_u32(what, at + 4)?);
            self.range("", buffer.into(), len.into())
                .map_err(|_| self.outside(&format!("{what}[{index}]"), buffer.into(), len.into()))?;
            let left = budget.saturating_sub(sum);
            sum += u64::from(len);
            let kept = u64::from(len).min(left) as u32;
            if kept > 0 {
                list.push(buffer, kept);
            }
        }
        if sum > u64::from(u32::MAX) {
            return Err(Errno::Inval.into());
        }
        Ok(list)
    }

    /// Lends the buffers for reading, all at once, in order. They may overlap.
    #[inline]
    pub fn gather<R>(&self, list: &IoVecs, consume: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let bytes = match &self.bytes {
            Bytes::Own(bytes) => &**bytes,
            Bytes::Shared(_) => {
                let mut copy = vec![0; list.bytes as usize];
                let mut rest = &mut *copy;
                for &(address, len) in list.as_slice() {
                    let (buffer, others) = rest.split_at_mut(len as usize);
                    self.bytes.read(address as usize, buffer);
                    rest = others;
                }
                return consume(&[IoSlice::new(&copy)]);
            }
        };
        let slice = |&(address, len): &(u32, u32)| IoSlice::new(&bytes[address as usize..][..len as usize]);
        let vectors = list.as_slice();
        if vectors.len() <= INLINE_IOVECS {
            let mut slices = [IoSlice::new(&[]); INLINE_IOVECS];
            for (slot, vector) in slices.iter_mut().zip(vectors) {
                *slot = slice(vector);
            }
            consume(&slices[..vectors.len()])
        } else {
            consume(&vectors.iter().map(slice).collect::<Vec<_>>())
        }
    }

    /// Lends the buffers for writing, in order. Where they ascend and do not overlap, which is all that compilers and
    /// libraries produce, it lends all of them; otherwise only the first, and the read is short, which is legal. `produce` says
    /// how many bytes it has written, from the first on, and perhaps more.
    #[inline]
    pub fn scatter<R>(
        &mut self,
        list: &IoVecs,
        produce: impl FnOnce(&mut [IoSliceMut<'_>]) -> Outcome<(usize, R)>,
    ) -> Outcome<(usize, R)> {
        let vectors = match list.as_slice() {
            [] => return produce(&mut []),
            vectors if ascending(vectors) => vectors,
            vectors => &vectors[..1],
        };
        let bytes = match &mut self.bytes {
            Bytes::Own(bytes) => &mut **bytes,
            Bytes::Shared(_) => return self.scatter_copy(vectors, produce),
        };
        if let [(address, len)] = vectors {
            let slice = &mut bytes[*address as usize..][..*len as usize];
            return produce(&mut [IoSliceMut::new(slice)]);
        }
        let mut slices = Vec::with_capacity(vectors.len());
        let (mut rest, mut start) = (bytes, 0);
        for &(address, len) in vectors {
            let (_, tail) = rest.split_at_mut(address as usize - start);
            let (slice, tail) = tail.split_at_mut(len as usize);
            slices.push(IoSliceMut::new(slice));
            (rest, start) = (tail, address as usize + len as usize);
        }
        produce(&mut slices)
    }

    /// The same by way of a copy, of which no more comes to the guest than was written.
    fn scatter_copy<R>(
        &mut self,
        vectors: &[(u32, u32)],
        produce: impl FnOnce(&mut [IoSliceMut<'_>]) -> Outcome<(usize, R)>,
    ) -> Outcome<(usize, R)> {
        let mut copy = vec![0; vectors.iter().map(|(_, len)| *len as usize).sum()];
        let (count, result) = produce(&mut [IoSliceMut::new(&mut copy)])?;
        let mut rest = &copy[..count.min(copy.len())];
        for &(address, len) in vectors {
            let (buffer, others) = rest.split_at(rest.len().min(len as usize));
            self.bytes.write(address as usize, buffer);
            rest = others;
        }
        Ok((count, result))
    }
}

/// Whether each buffer begins at or after the end of the one before.
fn ascending(vectors: &[(u32, u32)]) -> bool {
    vectors.windows(2).all(|pair| u64::from(pair[0].0) + u64::from(pair[0].1) <= u64::from(pair[1].0))
}

/// Non-empty buffers in guest memory, checked against the [`GuestMem`] that made the list.
#[derive(Clone, Default)]
pub struct IoVecs {
    inline: [(u32, u32); INLINE_IOVECS],
    spilled: Vec<(u32, u32)>,
    count: usize,
    bytes: u64,
}

impl IoVecs {
    /// How many bytes there are in all buffers.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same buffers without the bytes before and after a range of them.
    pub fn part(&self, range: &Range<u64>) -> Cow<'_, IoVecs> {
        if *range == (0..self.bytes) {
            return Cow::Borrowed(self);
        }
        let mut part = IoVecs::default();
        let mut start = 0;
        for &(address, len) in self.as_slice() {
            let end = start + u64::from(len);
            let (first, last) = (range.start.max(start), range.end.min(end));
            if first < last {
                // Both differences are within the buffer.
                part.push(address + (first - start) as u32, (last - first) as u32);
            }
            start = end;
        }
        Cow::Owned(part)
    }

    fn push(&mut self, address: u32, len: u32) {
        if self.count < INLINE_IOVECS {
            self.inline[self.count] = (address, len);
        } else {
            if self.count == INLINE_IOVECS {
                self.spilled.extend_from_slice(&self.inline);
            }
            self.spilled.push((address, len));
        }
        self.count += 1;
        self.bytes += u64::from(len);
    }

    fn as_slice(&self) -> &[(u32, u32)] {
        if self.count <= INLINE_IOVECS { &self.inline[..self.count] } else { &self.spilled }
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use wasmrun::{Engine, MemoryType};

    #[test]
    fn a_buffer_that_ends_where_addresses_do_is_gathered_and_scattered() {
        let memory = SharedMemory::new(&Engine::default(), MemoryType::shared(1 << 16, 1 << 16)).unwrap();
        let mut mem = GuestMem::shared(&memory);
        let last = u32::MAX - 3;
        mem.write_u32("buffer", 0, last).unwrap();
        mem.write_u32("length", 4, 4).unwrap();
        mem.write_u32("bytes", last, 0x6463_6261).unwrap();
        let list = mem.iovecs("iovs", 0, 1, u64::MAX).unwrap();
        assert_eq!(mem.gather(&list, |slices| slices[0].to_vec()), b"abcd");
        let produced = mem.scatter(&list, |slices| {
            slices[0].copy_from_slice(b"efgh");
            Ok((4, ()))
        });
        assert_eq!(produced, Ok((4, ())));
        assert_eq!(mem.read_vec("bytes", last, 4), Ok(b"efgh".to_vec()));
    }
}
