//! Why WebAssembly code stopped: trap codes, and what is pending on an execution context when code of
//! any tier returns a status other than [`Status::Ok`].

use std::any::Any;
use std::fmt;

/// How a segment of WebAssembly code came back to the Rust that entered it.
///
/// Nothing unwinds over Rust frames: each tier returns one of these. `TailCall` and
/// `Suspend` are part of the protocol between tiers and stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The function returned; its results are in its slots.
    Ok = 0,
    /// It trapped, an exception left it, or a host function failed: see [`Pending`].
    Trap = 1,
    /// It ended in a tail call that the caller has to perform.
    TailCall = 3,
    /// Its stack was suspended.
    Suspend = 4,
    /// The frame that was entered goes on in tier 0, which its values are ready for.
    Left = 5,
}

impl Status {
    /// The status with this number.
    pub const fn from_word(word: u32) -> Option<Status> {
        Some(match word {
            0 => Status::Ok,
            1 => Status::Trap,
            3 => Status::TailCall,
            4 => Status::Suspend,
            5 => Status::Left,
            _ => return None,
        })
    }
}

/// The reason of a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Trap {
    /// `unreachable` was executed.
    UnreachableCodeReached = 1,
    /// A load, store or bulk operation outside a memory.
    MemoryOutOfBounds,
    /// A table access outside a table.
    TableOutOfBounds,
    /// A call through a null table element.
    IndirectCallToNull,
    /// A call through a table element of another type.
    BadSignature,
    /// Integer division or remainder by zero.
    IntegerDivisionByZero,
    /// The quotient or the conversion result does not fit.
    IntegerOverflow,
    /// A NaN converted to an integer.
    BadConversionToInteger,
    /// The stack of the guest is used up.
    StackOverflow,
    /// The fuel is used up.
    OutOfFuel,
    /// The host interrupted the guest.
    Interrupt,
    /// The deadline of the call has passed.
    Deadline,
    /// A function of an instance that has been dropped was called.
    InstanceDropped,
    /// A function is larger than the engine can run.
    FunctionTooLarge,
    /// A null reference was used where something has to be.
    NullReference,
    /// The objects of the guest, or the values of the host that it holds on to, need more memory than they may have.
    GcHeapOutOfMemory,
    /// A reference was cast to a type that what it leads to is not of.
    CastFailure,
    /// An access outside of an array.
    ArrayOutOfBounds,
    /// An atomic access to an address that is no multiple of its size.
    UnalignedAtomic,
    /// A wait for a notification in a memory that no other thread has.
    ExpectedSharedMemory,
}

impl Trap {
    /// The wording of the specification's test suite where it has one.
    pub fn message(self) -> &'static str {
        match self {
            Trap::UnreachableCodeReached => "wasm `unreachable` instruction executed",
            Trap::MemoryOutOfBounds => "out of bounds memory access",
            Trap::TableOutOfBounds => "out of bounds table access",
            Trap::IndirectCallToNull => "uninitialized element",
            Trap::BadSignature => "indirect call type mismatch",
            Trap::IntegerDivisionByZero => "integer divide by zero",
            Trap::IntegerOverflow => "integer overflow",
            Trap::BadConversionToInteger => "invalid conversion to integer",
            Trap::StackOverflow => "call stack exhausted",
            Trap::OutOfFuel => "all fuel consumed by WebAssembly",
            Trap::Interrupt => "interrupted by the host",
            Trap::Deadline => "deadline exceeded",
            Trap::InstanceDropped => "function of a dropped instance called",
            Trap::FunctionTooLarge => "function too large for this engine",
            Trap::NullReference => "null reference",
            Trap::GcHeapOutOfMemory => "GC heap out of memory",
            Trap::CastFailure => "cast failure",
            Trap::ArrayOutOfBounds => "out of bounds array access",
            Trap::UnalignedAtomic => "unaligned atomic",
            Trap::ExpectedSharedMemory => "expected shared memory",
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Trap {}

/// An error of the host, as it travels through WebAssembly frames.
pub type HostError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What made a segment of WebAssembly code return [`Status::Trap`].
#[derive(Debug)]
pub enum Pending {
    /// The guest trapped.
    Trap(Trap),
    /// A host function returned an error.
    Host(HostError),
    /// A host function panicked; the payload is resumed at the host's entry.
    Panic(Box<dyn Any + Send>),
    /// An exception was thrown, which the execution context has.
    Exception,
}

/// What a host function returns that has thrown the exception in the execution context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an exception was thrown")]
pub struct Thrown;

impl Pending {
    /// What is pending when a host function has returned an error.
    pub fn of_host(error: HostError) -> Pending {
        if error.is::<Thrown>() { Pending::Exception } else { Pending::Host(error) }
    }
}

impl From<Trap> for Pending {
    fn from(trap: Trap) -> Pending {
        Pending::Trap(trap)
    }
}
