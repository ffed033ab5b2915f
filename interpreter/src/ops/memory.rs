//! Loads and stores.
//!
//! Every access is checked here, also where guard pages would catch it: recovering from a fault inside
//! Rust code is not possible. The instruction holds the offset of the *last byte* of the access, so that the
//! check and the address need one addition, and 32 bits reach the end of a memory of 4 GiB. Offsets that pass that, which
//! there are with 64-bit addresses, are added by an instruction of their own ([`FarAddress`]).

use std::marker::PhantomData;

use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{Memory, MemoryDescriptor, VmContext};

use crate::field::Field;
use crate::machine::{Continuation, Dispatch, Machine, Op, Stop, code};
use crate::mode::{Dest, Slot, Source, Value};

/// How bytes of memory become a value.
pub(crate) trait LoadAs {
    /// Its name.
    const NAME: &'static str;
    type Out;
    /// Bytes that are read.
    const BYTES: usize;
    /// # Safety
    /// `BYTES` bytes at `from` can be read.
    unsafe fn load(from: *const u8) -> Self::Out;
}

/// How a value becomes bytes of memory.
pub(crate) trait StoreAs {
    /// Its name.
    const NAME: &'static str;
    type In;
    /// Bytes that are written.
    const BYTES: usize;
    /// # Safety
    /// `BYTES` bytes at `to` can be written.
    unsafe fn store(to: *mut u8, value: Self::In);
}

/// What addresses a memory: 32 or 64 bits.
pub(crate) trait Address: Value {
    /// Part of the names of instructions.
    const NAME: &'static str;

    /// The last byte of an access, when it lies inside a memory of `len` bytes.
    fn last_inside(self, last: u32, len: usize) -> Option<usize>;

    /// The sum as `add` has it, which wraps.
    fn plus(self, other: Self) -> Self;

    /// Shifted as by `shl`.
    fn shifted(self, by: u32) -> Self;
}

impl Address for u32 {
    const NAME: &'static str = "";

    // The sum cannot overflow.
    #[inline(always)]
    fn last_inside(self, last: u32, len: usize) -> Option<usize> {
        let last = self as usize + last as usize;
        (last < len).then_some(last)
    }

    #[inline(always)]
    fn plus(self, other: u32) -> u32 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn shifted(self, by: u32) -> u32 {
        self.wrapping_shl(by)
    }
}

impl Address for u64 {
    const NAME: &'static str = ".wide";

    #[inline(always)]
    fn last_inside(self, last: u32, len: usize) -> Option<usize> {
        let last = (self as usize).checked_add(last as usize)?;
        (last < len).then_some(last)
    }

    #[inline(always)]
    fn plus(self, other: u64) -> u64 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn shifted(self, by: u32) -> u64 {
        self.wrapping_shl(by)
    }
}

/// An address with an offset that accesses have no room for: destination, address, offset. What there is no address for
/// becomes the last one, where there is no memory.
pub(crate) struct FarAddress;

impl Op for FarAddress {
    const NAME: &'static [&'static str] = &["far_address"];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Slot, Field::Bits64];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let address: u64 = Slot::get::<Self, 1>(&m);
            let far = address.saturating_add(m.field::<Self, u64, 2>());
            <Slot as Dest<u64>>::put::<Self, 0>(&mut m, far);
            m.next::<D, Self>()
        }
    }
}

/// The end of an access outside of a memory. If threads share memory 0 it may have grown since its length was read, and only
/// that; then the instruction is executed again.
pub(super) struct OutOfBounds;

impl Continuation for OutOfBounds {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: `ctx` is alive; the instruction has changed nothing.
        unsafe {
            let known = m.len;
            m.reload_memory();
            if m.len != known {
                return D::go(m);
            }
            <Stop<{ code(Trap::MemoryOutOfBounds) }> as Continuation>::run::<D>(m)
        }
    }
}

/// A load from memory 0: destination, address, offset of the last byte.
pub(crate) struct Load<O, A, X, Z>(PhantomData<(O, A, X, Z)>);

impl<O: LoadAs, A: Address, X: Source<A>, Z: Dest<O::Out>> Op for Load<O, A, X, Z> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; the access is checked.
        unsafe {
            let address = X::get::<Self, 1>(&m);
            match address.last_inside(m.field::<Self, u32, 2>(), m.len) {
                Some(last) => {
                    let value = O::load(m.mem.add(last).sub(O::BYTES - 1));
                    Z::put::<Self, 0>(&mut m, value);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A load whose address is a sum: destination, two addends, offset of the last byte. The sum wraps, as
/// `add` does.
pub(crate) struct LoadSum<O, A, X, Y, Z>(PhantomData<(O, A, X, Y, Z)>);

impl<O: LoadAs, A: Address, X: Source<A>, Y: Source<A>, Z: Dest<O::Out>> Op for LoadSum<O, A, X, Y, Z> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME, ".sum"];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD, Y::FIELD, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let address = X::get::<Self, 1>(&m).plus(Y::get::<Self, 2>(&m));
            match address.last_inside(m.field::<Self, u32, 3>(), m.len) {
                Some(last) => {
                    let value = O::load(m.mem.add(last).sub(O::BYTES - 1));
                    Z::put::<Self, 0>(&mut m, value);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A load from an element of an array: destination, base, index, shift of the index, offset of the last
/// byte.
pub(crate) struct LoadElement<O, A, X, Y, Z>(PhantomData<(O, A, X, Y, Z)>);

impl<O: LoadAs, A: Address, X: Source<A>, Y: Source<A>, Z: Dest<O::Out>> Op for LoadElement<O, A, X, Y, Z> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME, ".element"];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD, Y::FIELD, A::IMM, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let offset = Y::get::<Self, 2>(&m).shifted(m.field::<Self, u32, 3>());
            let address = X::get::<Self, 1>(&m).plus(offset);
            match address.last_inside(m.field::<Self, u32, 4>(), m.len) {
                Some(last) => {
                    let value = O::load(m.mem.add(last).sub(O::BYTES - 1));
                    Z::put::<Self, 0>(&mut m, value);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A load from a constant address: destination, last byte.
pub(crate) struct LoadAt<O, Z>(PhantomData<(O, Z)>);

impl<O: LoadAs, Z: Dest<O::Out>> Op for LoadAt<O, Z> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Z::FIELD, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            match 0u32.last_inside(m.field::<Self, u32, 1>(), m.len) {
                Some(last) => {
                    let value = O::load(m.mem.add(last).sub(O::BYTES - 1));
                    Z::put::<Self, 0>(&mut m, value);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A store to memory 0: address, value, offset of the last byte.
pub(crate) struct Store<O, A, X, Y>(PhantomData<(O, A, X, Y)>);

impl<O: StoreAs, A: Address, X: Source<A>, Y: Source<O::In>> Op for Store<O, A, X, Y> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME];
    const FIELDS: &'static [Field] = &[X::FIELD, Y::FIELD, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let address = X::get::<Self, 0>(&m);
            match address.last_inside(m.field::<Self, u32, 2>(), m.len) {
                Some(last) => {
                    O::store(m.mem.add(last).sub(O::BYTES - 1), Y::get::<Self, 1>(&m));
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A store to a constant address: value, last byte.
pub(crate) struct StoreAt<O, Y>(PhantomData<(O, Y)>);

impl<O: StoreAs, Y: Source<O::In>> Op for StoreAt<O, Y> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Y::FIELD, Field::Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            match 0u32.last_inside(m.field::<Self, u32, 1>(), m.len) {
                Some(last) => {
                    O::store(m.mem.add(last).sub(O::BYTES - 1), Y::get::<Self, 0>(&m));
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// The memory whose pointer is at this offset in the context.
///
/// # Safety
/// The context has a memory there.
#[inline(always)]
pub(super) unsafe fn descriptor(m: &Machine, offset: u32) -> (*mut u8, usize) {
    // SAFETY: the caller's promise; a `Memory` starts with its descriptor.
    unsafe {
        let memory: *mut Memory = *VmContext::at::<*mut Memory>(m.ctx, offset);
        let descriptor = memory.cast::<MemoryDescriptor>();
        ((*descriptor).base, (*descriptor).len())
    }
}

/// A load from any memory: destination, address in a slot, offset of the last byte, memory.
pub(crate) struct LoadFrom<O, A, Z>(PhantomData<(O, A, Z)>);

impl<O: LoadAs, A: Address, Z: Dest<O::Out>> Op for LoadFrom<O, A, Z> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME, ".from"];
    const FIELDS: &'static [Field] = &[Z::FIELD, Field::Slot, Field::Offset, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as for `Load`.
        unsafe {
            let (base, len) = descriptor(&m, m.field::<Self, u32, 3>());
            let address: A = Slot::get::<Self, 1>(&m);
            match address.last_inside(m.field::<Self, u32, 2>(), len) {
                Some(last) => {
                    let value = O::load(base.add(last).sub(O::BYTES - 1));
                    Z::put::<Self, 0>(&mut m, value);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

/// A store to any memory: address in a slot, value, offset of the last byte, memory.
pub(crate) struct StoreTo<O, A, Y>(PhantomData<(O, A, Y)>);

impl<O: StoreAs, A: Address, Y: Source<O::In>> Op for StoreTo<O, A, Y> {
    const NAME: &'static [&'static str] = &[O::NAME, A::NAME, ".to"];
    const FIELDS: &'static [Field] = &[Field::Slot, Y::FIELD, Field::Offset, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for `Store`.
        unsafe {
            let (base, len) = descriptor(&m, m.field::<Self, u32, 3>());
            let address: A = Slot::get::<Self, 0>(&m);
            match address.last_inside(m.field::<Self, u32, 2>(), len) {
                Some(last) => {
                    let value = Y::get::<Self, 1>(&m);
                    O::store(base.add(last).sub(O::BYTES - 1), value);
                    m.next::<D, Self>()
                }
                None => D::cold::<OutOfBounds>(m),
            }
        }
    }
}

macro_rules! loads {
    ($d:tt $($name:ident $text:literal: $bytes:ty => $out:ty, |$x:ident| $body:expr;)*) => {
        /// The loads. Those that extend with zeroes serve both integer types.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum LoadKind { $($name),* }

        $(
            pub(crate) struct $name;
            impl LoadAs for $name {
                const NAME: &'static str = $text;
                type Out = $out;
                const BYTES: usize = size_of::<$bytes>();
                #[inline(always)]
                unsafe fn load(from: *const u8) -> $out {
                    // SAFETY: the caller's promise.
                    let $x = <$bytes>::from_le_bytes(unsafe { from.cast::<[u8; size_of::<$bytes>()]>().read() });
                    $body
                }
            }
        )*

        /// The rows of the table: what `row` makes of each of them, for these addresses.
        macro_rules! load_rows {
            ($d row:ident, $d address:ty) => { [$($d row::<$name, $d address>()),*] };
        }
        pub(crate) use load_rows;

        impl LoadKind {
            /// How many there are.
            pub(crate) const COUNT: usize = [$(LoadKind::$name),*].len();

            /// Bytes that it reads.
            pub(crate) fn bytes(self) -> u32 {
                match self { $(LoadKind::$name => <$name as LoadAs>::BYTES as u32),* }
            }
        }
    };
}

loads! { $
    Load32 "load32": u32 => u32, |x| x;
    Load64 "load64": u64 => u64, |x| x;
    LoadF32 "f32.load": f32 => f32, |x| x;
    LoadF64 "f64.load": f64 => f64, |x| x;
    Load8U "load8_u": u8 => u32, |x| x.into();
    Load16U "load16_u": u16 => u32, |x| x.into();
    I32Load8S "i32.load8_s": i8 => i32, |x| x.into();
    I32Load16S "i32.load16_s": i16 => i32, |x| x.into();
    I64Load8S "i64.load8_s": i8 => i64, |x| x.into();
    I64Load16S "i64.load16_s": i16 => i64, |x| x.into();
    I64Load32S "i64.load32_s": i32 => i64, |x| x.into();
}

macro_rules! stores {
    ($d:tt $($name:ident $text:literal: $in:ty => $bytes:ty;)*) => {
        /// The stores. Narrow ones serve both integer types.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum StoreKind { $($name),* }

        $(
            pub(crate) struct $name;
            impl StoreAs for $name {
                const NAME: &'static str = $text;
                type In = $in;
                const BYTES: usize = size_of::<$bytes>();
                #[inline(always)]
                unsafe fn store(to: *mut u8, value: $in) {
                    // SAFETY: the caller's promise.
                    unsafe { to.cast::<[u8; size_of::<$bytes>()]>().write((value as $bytes).to_le_bytes()) }
                }
            }
        )*

        /// The rows of the table: what `row` makes of each of them, for these addresses.
        macro_rules! store_rows {
            ($d row:ident, $d address:ty) => { [$($d row::<$name, $d address>()),*] };
        }
        pub(crate) use store_rows;

        impl StoreKind {
            /// How many there are.
            pub(crate) const COUNT: usize = [$(StoreKind::$name),*].len();

            /// Bytes that it writes.
            pub(crate) fn bytes(self) -> u32 {
                match self { $(StoreKind::$name => <$name as StoreAs>::BYTES as u32),* }
            }
        }
    };
}

stores! { $
    Store8 "store8": u32 => u8;
    Store16 "store16": u32 => u16;
    Store32 "store32": u32 => u32;
    Store64 "store64": u64 => u64;
    StoreF32 "f32.store": f32 => f32;
    StoreF64 "f64.store": f64 => f64;
}
