//! Atomic accesses, which are sequentially consistent.
//!
//! All operands are slots, so that there is one instruction for each operation and width, whatever memory and type: an
//! address of 32 bits is a whole slot whose upper half is zero, and so is a result of less than 64 bits.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use wasmrun_runtime::trap::Trap;

use super::memory::{OutOfBounds, descriptor};
use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op, Stop, code};
use crate::mode::{Dest, Slot};

// Operations on the bytes of a memory are those of the machine.
const _: () = assert!(cfg!(target_endian = "little"));

type Unaligned = Stop<{ code(Trap::UnalignedAtomic) }>;

/// What is accessed at once.
pub(crate) trait Word {
    /// Its bits, as part of a name.
    const NAME: &'static str;
    const BYTES: u64;

    /// Does `operation` with these operands to the word at `place`. The result is what was there before.
    ///
    /// # Safety
    /// A word at `place` can be read and written, and it is aligned.
    unsafe fn apply(operation: Operation, place: *mut u8, operands: [u64; 2]) -> u64;
}

/// The operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Operation {
    Load,
    Store,
    Add,
    Sub,
    And,
    Or,
    Xor,
    Xchg,
    Cmpxchg,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Operation::Load => "atomic.load",
            Operation::Store => "atomic.store",
            Operation::Add => "atomic.rmw.add",
            Operation::Sub => "atomic.rmw.sub",
            Operation::And => "atomic.rmw.and",
            Operation::Or => "atomic.rmw.or",
            Operation::Xor => "atomic.rmw.xor",
            Operation::Xchg => "atomic.rmw.xchg",
            Operation::Cmpxchg => "atomic.rmw.cmpxchg",
        }
    }

    /// Operands besides the address.
    pub(crate) const fn operands(self) -> usize {
        match self {
            Operation::Load => 0,
            Operation::Cmpxchg => 2,
            _ => 1,
        }
    }
}

macro_rules! words {
    ($($word:ty, $atomic:ty, $name:literal;)*) => { $(
        impl Word for $word {
            const NAME: &'static str = $name;
            const BYTES: u64 = size_of::<$word>() as u64;

            #[inline(always)]
            unsafe fn apply(operation: Operation, place: *mut u8, [a, b]: [u64; 2]) -> u64 {
                const ORDER: Ordering = Ordering::SeqCst;
                // SAFETY: the caller's promise.
                let place = unsafe { <$atomic>::from_ptr(place.cast()) };
                let (a, b) = (a as $word, b as $word);
                u64::from(match operation {
                    Operation::Load => place.load(ORDER),
                    Operation::Store => {
                        place.store(a, ORDER);
                        0
                    }
                    Operation::Add => place.fetch_add(a, ORDER),
                    Operation::Sub => place.fetch_sub(a, ORDER),
                    Operation::And => place.fetch_and(a, ORDER),
                    Operation::Or => place.fetch_or(a, ORDER),
                    Operation::Xor => place.fetch_xor(a, ORDER),
                    Operation::Xchg => place.swap(a, ORDER),
                    Operation::Cmpxchg => place.compare_exchange(a, b, ORDER, ORDER).unwrap_or_else(|old| old),
                })
            }
        }
    )* };
}

words! {
    u8, AtomicU8, "8";
    u16, AtomicU16, "16";
    u32, AtomicU32, "32";
    u64, AtomicU64, "64";
}

/// The place of an access at an address and an offset, if it is inside of the memory.
#[inline(always)]
fn inside(base: *mut u8, len: usize, address: u64, offset: u64, bytes: u64) -> Option<*mut u8> {
    let start = address.checked_add(offset)?;
    let end = start.checked_add(bytes)?;
    (end <= len as u64).then(|| base.wrapping_add(start as usize))
}

/// Makes the instructions of operations with so many operands: destination unless it is a store, address, operands,
/// offset, memory.
macro_rules! accesses {
    ($($(#[$doc:meta])* $name:ident: [$($dest:ident $put:ident)?] $address:literal [$($operand:literal)*]
        $offset:literal $memory:literal;)*) => { $(
        $(#[$doc])*
        pub(crate) struct $name<const OPERATION: u16, W>(PhantomData<W>);

        impl<const OPERATION: u16, W: Word> Op for $name<OPERATION, W> {
            const NAME: &'static [&'static str] = &[operation(OPERATION).name(), W::NAME];
            const FIELDS: &'static [Field] = &[
                $(Field::$dest,)?
                Field::Slot,
                $({ let _ = $operand; Field::Slot },)*
                Field::Bits64,
                Field::Context,
            ];

            #[inline(always)]
            #[allow(unused_mut)]
            unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
                // SAFETY: the instruction has these fields; the access is checked.
                unsafe {
                    let address: u64 = *m.slot::<Self, $address>();
                    let offset = m.field::<Self, u64, $offset>();
                    if !address.wrapping_add(offset).is_multiple_of(W::BYTES) {
                        return D::cold::<Unaligned>(m);
                    }
                    let (base, len) = descriptor(&m, m.field::<Self, u32, $memory>());
                    let Some(place) = inside(base, len, address, offset, W::BYTES) else {
                        return D::cold::<OutOfBounds>(m);
                    };
                    // Those that it has, and zeroes.
                    let operands = [$(*m.slot::<Self, $operand>(),)* 0, 0];
                    let operands = [operands[0], operands[1]];
                    let _old = W::apply(const { operation(OPERATION) }, place, operands);
                    $(<Slot as Dest<u64>>::$put::<Self, 0>(&mut m, _old);)?
                    m.next::<D, Self>()
                }
            }
        }
    )* };
}

accesses! {
    /// A load.
    AtomicLoad: [Dest put] 1 [] 2 3;
    /// A store.
    AtomicStore: [] 0 [1] 2 3;
    /// What reads, modifies and writes.
    AtomicRmw: [Dest put] 1 [2] 3 4;
    /// What writes if it reads what is expected, of which it takes as many bytes as it reads.
    AtomicCmpxchg: [Dest put] 1 [2 3] 4 5;
}

const fn operation(number: u16) -> Operation {
    const ALL: [Operation; 9] = [
        Operation::Load,
        Operation::Store,
        Operation::Add,
        Operation::Sub,
        Operation::And,
        Operation::Or,
        Operation::Xor,
        Operation::Xchg,
        Operation::Cmpxchg,
    ];
    ALL[number as usize]
}

/// `atomic.fence`.
pub(crate) struct AtomicFence;

impl Op for AtomicFence {
    const NAME: &'static [&'static str] = &["atomic.fence"];
    const FIELDS: &'static [Field] = &[];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        fence(Ordering::SeqCst);
        // SAFETY: there is an instruction.
        unsafe { m.next::<D, Self>() }
    }
}
