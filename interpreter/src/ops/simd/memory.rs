//! Loads and stores of vectors and of single lanes. Whole vectors go by the shapes of [`memory`](crate::ops::memory).

use std::marker::PhantomData;

use super::lanes::Replaceable;
use super::{I16x8, I32x4, I64x2, U8x16, U16x8, U32x4, U64x2, kinds};
use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};
use crate::mode::{Dest, Lanes, Pair, Slot, Source};
use crate::ops::memory::{Address, LoadAs, OutOfBounds, StoreAs, descriptor};

macro_rules! vector_loads {
    ($d:tt $($name:ident $text:literal: $bytes:literal => $out:ty, |$from:ident| $body:expr;)*) => {
        kinds! { $d VectorLoad vector_load_rows: $($name)* }
        $(
            impl LoadAs for $name {
                const NAME: &'static str = $text;
                type Out = $out;
                const BYTES: usize = $bytes;
                #[inline(always)]
                unsafe fn load($from: *const u8) -> $out {
                    // SAFETY: the caller's promise.
                    unsafe { $body }
                }
            }
        )*

        impl VectorLoad {
            /// Bytes that it reads.
            pub(crate) fn bytes(self) -> u32 {
                match self { $(VectorLoad::$name => $bytes),* }
            }
        }
    };
}

vector_loads! { $
    V128Load "v128.load": 16 => U8x16, |from| bytes(from);
    V128Load8x8S "v128.load8x8_s": 8 => I16x8, |from| lanes(from, |lane| i8::from_le_bytes(lane).into());
    V128Load8x8U "v128.load8x8_u": 8 => U16x8, |from| lanes(from, |lane| u8::from_le_bytes(lane).into());
    V128Load16x4S "v128.load16x4_s": 8 => I32x4, |from| lanes(from, |lane| i16::from_le_bytes(lane).into());
    V128Load16x4U "v128.load16x4_u": 8 => U32x4, |from| lanes(from, |lane| u16::from_le_bytes(lane).into());
    V128Load32x2S "v128.load32x2_s": 8 => I64x2, |from| lanes(from, |lane| i32::from_le_bytes(lane).into());
    V128Load32x2U "v128.load32x2_u": 8 => U64x2, |from| lanes(from, |lane| u32::from_le_bytes(lane).into());
    V128Load8Splat "v128.load8_splat": 1 => U8x16, |from| [u8::from_le_bytes(bytes(from)); 16];
    V128Load16Splat "v128.load16_splat": 2 => U16x8, |from| [u16::from_le_bytes(bytes(from)); 8];
    V128Load32Splat "v128.load32_splat": 4 => U32x4, |from| [u32::from_le_bytes(bytes(from)); 4];
    V128Load64Splat "v128.load64_splat": 8 => U64x2, |from| [u64::from_le_bytes(bytes(from)); 2];
    V128Load32Zero "v128.load32_zero": 4 => U32x4, |from| [u32::from_le_bytes(bytes(from)), 0, 0, 0];
    V128Load64Zero "v128.load64_zero": 8 => U64x2, |from| [u64::from_le_bytes(bytes(from)), 0];
}

/// # Safety
/// So many bytes at `from` can be read.
#[inline(always)]
unsafe fn bytes<const N: usize>(from: *const u8) -> [u8; N] {
    // SAFETY: the caller's promise.
    unsafe { from.cast::<[u8; N]>().read() }
}

/// `f` of so many lanes of `B` bytes each. Read one by one: all together they would become one number, and that would be
/// taken apart.
///
/// # Safety
/// `N * B` bytes at `from` can be read.
#[inline(always)]
unsafe fn lanes<T: Copy + Default, const B: usize, const N: usize>(
    from: *const u8,
    f: impl Fn([u8; B]) -> T,
) -> [T; N] {
    let mut result = [T::default(); N];
    for (i, result) in result.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *result = f(unsafe { bytes(from.add(i * B)) });
    }
    result
}

/// `v128.store`.
pub(crate) struct V128Store;

impl StoreAs for V128Store {
    const NAME: &'static str = "v128.store";
    type In = U8x16;
    const BYTES: usize = 16;
    #[inline(always)]
    unsafe fn store(to: *mut u8, value: U8x16) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<U8x16>().write(value) }
    }
}

/// A load of one lane.
pub(crate) trait LoadLane {
    /// Its name.
    const NAME: &'static str;
    type Lanes: Lanes;
    /// Bytes that are read.
    const BYTES: usize;
    /// `a` with another lane.
    ///
    /// # Safety
    /// `BYTES` bytes at `from` can be read.
    unsafe fn load(from: *const u8, a: Self::Lanes, number: u16) -> Self::Lanes;
}

/// A store of one lane.
pub(crate) trait StoreLane {
    /// Its name.
    const NAME: &'static str;
    type Lane: Copy;
    /// # Safety
    /// The bytes of a lane at `to` can be written.
    unsafe fn store(to: *mut u8, lane: Self::Lane);
}

/// A load of a lane from memory 0: destination, address, vector, number of the lane, offset of the last byte.
pub(crate) struct LoadLaneOp<O, A, X>(PhantomData<(O, A, X)>);

impl<O: LoadLane, A: Address, X: Source<A>> Op for LoadLaneOp<O, A, X> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME];
    const FIELDS: &'static [Field] =
        &[Field::VectorDest, X::FIELD, Field::Vector, Field::Lane, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; the access is checked.
        unsafe {
            let address = X::get::<Self, 1>(&m);
            match address.last_inside(m.field::<Self, u32, 4>(), m.len) {
                Some(last) => {
                    let a = Pair::get::<Self, 2>(&m);
                    let from = m.mem.add(last).sub(O::BYTES - 1);
                    let result = O::load(from, a, m.field::<Self, u16, 3>());
                    Pair::put::<Self, 0>(&mut m, result);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A load of a lane from any memory: destination, address in a slot, vector, number of the lane, offset of the last byte, memory.
pub(crate) struct LoadLaneFrom<O, A>(PhantomData<(O, A)>);

impl<O: LoadLane, A: Address> Op for LoadLaneFrom<O, A> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME, ".from"];
    const FIELDS: &'static [Field] =
        &[Field::VectorDest, Field::Slot, Field::Vector, Field::Lane, Field::Offset, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let (base, len) = descriptor(&m, m.field::<Self, u32, 5>());
            let address: A = Slot::get::<Self, 1>(&m);
            match address.last_inside(m.field::<Self, u32, 4>(), len) {
                Some(last) => {
                    let a = Pair::get::<Self, 2>(&m);
                    let from = base.add(last).sub(O::BYTES - 1);
                    let result = O::load(from, a, m.field::<Self, u16, 3>());
                    Pair::put::<Self, 0>(&mut m, result);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A store of a lane to memory 0: address, vector, number of the lane, offset of the last byte.
pub(crate) struct StoreLaneOp<O, A, X>(PhantomData<(O, A, X)>);

impl<O: StoreLane, A: Address, X: Source<A>> Op for StoreLaneOp<O, A, X> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME];
    const FIELDS: &'static [Field] = &[X::FIELD, Field::Vector, Field::Lane, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as above; validation has seen that there is such a lane.
        unsafe {
            let address = X::get::<Self, 0>(&m);
            match address.last_inside(m.field::<Self, u32, 3>(), m.len) {
                Some(last) => {
                    let to = m.mem.add(last).sub(size_of::<O::Lane>() - 1);
                    O::store(to, Pair::lane::<Self, O::Lane, 1, 2>(&m));
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A store of a lane to any memory: address in a slot, vector, number of the lane, offset of the last byte, memory.
pub(crate) struct StoreLaneTo<O, A>(PhantomData<(O, A)>);

impl<O: StoreLane, A: Address> Op for StoreLaneTo<O, A> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME, ".to"];
    const FIELDS: &'static [Field] =
        &[Field::Slot, Field::Vector, Field::Lane, Field::Offset, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let (base, len) = descriptor(&m, m.field::<Self, u32, 4>());
            let address: A = Slot::get::<Self, 0>(&m);
            match address.last_inside(m.field::<Self, u32, 3>(), len) {
                Some(last) => {
                    let to = base.add(last).sub(size_of::<O::Lane>() - 1);
                    O::store(to, Pair::lane::<Self, O::Lane, 1, 2>(&m));
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

macro_rules! lane_accesses {
    ($d:tt $($load:ident $load_text:literal $store:ident $store_text:literal: $lanes:ty, $lane:ty;)*) => {
        kinds! { $d LaneLoad lane_load_rows: $($load)* }
        kinds! { $d LaneStore lane_store_rows: $($store)* }
        $(
            impl LoadLane for $load {
                const NAME: &'static str = $load_text;
                type Lanes = $lanes;
                const BYTES: usize = size_of::<$lane>();
                #[inline(always)]
                unsafe fn load(from: *const u8, a: $lanes, number: u16) -> $lanes {
                    // SAFETY: the caller's promise.
                    let lane = unsafe { bytes(from) };
                    a.replaced(number, <$lane>::from_le_bytes(lane))
                }
            }

            impl StoreLane for $store {
                const NAME: &'static str = $store_text;
                type Lane = $lane;
                #[inline(always)]
                unsafe fn store(to: *mut u8, lane: $lane) {
                    // SAFETY: the caller's promise.
                    unsafe { to.cast::<[u8; size_of::<$lane>()]>().write(lane.to_le_bytes()) }
                }
            }
        )*

        impl LaneLoad {
            /// Bytes that it reads.
            pub(crate) fn bytes(self) -> u32 {
                match self { $(LaneLoad::$load => size_of::<$lane>() as u32),* }
            }
        }

        impl LaneStore {
            /// Bytes that it writes.
            pub(crate) fn bytes(self) -> u32 {
                match self { $(LaneStore::$store => size_of::<$lane>() as u32),* }
            }
        }
    };
}

lane_accesses! { $
    V128Load8Lane "v128.load8_lane" V128Store8Lane "v128.store8_lane": U8x16, u8;
    V128Load16Lane "v128.load16_lane" V128Store16Lane "v128.store16_lane": U16x8, u16;
    V128Load32Lane "v128.load32_lane" V128Store32Lane "v128.store32_lane": U32x4, u32;
    V128Load64Lane "v128.load64_lane" V128Store64Lane "v128.store64_lane": U64x2, u64;
}
