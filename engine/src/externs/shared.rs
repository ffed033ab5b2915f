//! Linear memories that threads share.
//!
//! This is one of the modules that hold the crate's `unsafe`: a shared memory is the one that an instance points at.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::time::Duration;

use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{self, Expected, GrowError};

use super::cannot_grow;
use super::memory::MemoryAccessError;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::types::MemoryType;

/// A linear memory that threads share.
///
/// It belongs to no store: instances in any number of stores can import the same one and run at the same time. Clones are
/// the same memory, which lives as long as somebody has it. Its addresses are reserved up to its maximum, so that it
/// never moves.
///
/// What other threads may write at any time cannot be borrowed. The host copies bytes with [`read`](SharedMemory::read) and
/// [`write`](SharedMemory::write), or accesses them by atomics at the addresses that [`data`](SharedMemory::data) gives.
///
/// ```
/// use wasmrun::{Engine, Instance, MemoryType, Module, SharedMemory, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (import "env" "memory" (memory 1 1 shared))
///     (func (export "count") (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1))))
/// "#)?;
/// let memory = SharedMemory::new(&engine, MemoryType::shared(1, 1))?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let mut store = Store::new(&engine, ());
///             let instance = Instance::new(&mut store, &module, &[memory.clone().into()])?;
///             let count = instance.get_typed_func::<(), ()>(&mut store, "count")?;
///             count.call(&mut store, ())
///         });
///     }
/// });
/// let mut bytes = [0; 4];
/// memory.read(8, &mut bytes)?;
/// assert_eq!(u32::from_le_bytes(bytes), 4);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedMemory(vm::SharedMemory);

/// How a wait for a notification has ended: [`SharedMemory::atomic_wait32`].
///
/// ```
/// use wasmrun::{Engine, MemoryType, SharedMemory, WaitResult};
///
/// let memory = SharedMemory::new(&Engine::default(), MemoryType::shared(1, 1))?;
/// assert_eq!(memory.atomic_wait32(0, 7, None)?, WaitResult::NotEqual);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitResult {
    /// By a notification.
    Ok = 0,
    /// It has not begun: the value was not the expected one.
    NotEqual = 1,
    /// The time has passed.
    TimedOut = 2,
}

impl SharedMemory {
    pub(super) fn from_runtime(memory: vm::SharedMemory) -> SharedMemory {
        SharedMemory(memory)
    }

    pub(crate) fn runtime(&self) -> &vm::SharedMemory {
        &self.0
    }

    /// A zeroed memory. No store's limiter is asked about it: what guests may let it grow by is up to the limiters of the
    /// stores that they run in.
    ///
    /// # Errors
    /// The type is not [shared](MemoryType::is_shared), or the system does not reserve so many addresses.
    ///
    /// ```
    /// use wasmrun::{Engine, MemoryType, SharedMemory};
    ///
    /// let engine = Engine::default();
    /// assert_eq!(SharedMemory::new(&engine, MemoryType::shared(1, 2))?.size(), 1);
    /// assert!(SharedMemory::new(&engine, MemoryType::new(1, Some(2))).is_err());
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn new(engine: &Engine, ty: MemoryType) -> Result<SharedMemory> {
        ty.check()?;
        if !ty.is_shared() {
            return Err(Error::msg("a `SharedMemory` is of a shared type, and a `Memory` of another"));
        }
        let made = vm::SharedMemory::new(ty, engine.config().memories());
        made.map(SharedMemory).map_err(|error| match error {
            GrowError::Reservation => {
                let pages = ty.maximum().unwrap_or(u64::MAX);
                Error::msg(format!("a shared memory of up to {pages} pages cannot be made: {error}"))
            }
            error => Error::msg(format!("a shared memory of {} pages cannot be made: {error}", ty.minimum())),
        })
    }

    /// Its type, with its current size as the minimum.
    pub fn ty(&self) -> MemoryType {
        let mut ty = self.0.memory().ty();
        ty.limits.min = self.size();
        ty
    }

    /// Its size in pages, which other threads may let grow.
    pub fn size(&self) -> u64 {
        self.0.memory().pages()
    }

    /// Bytes in one of its pages.
    pub fn page_size(&self) -> u64 {
        self.0.memory().ty().page_size()
    }

    /// Its size in bytes, which other threads may let grow.
    pub fn data_size(&self) -> usize {
        self.0.memory().len()
    }

    /// Grows it by `delta` pages and returns the old size in pages. New bytes are zero. No limiter is asked.
    ///
    /// # Errors
    /// Its maximum or the system does not allow it; nothing has changed.
    pub fn grow(&self, delta: u64) -> Result<u64> {
        self.0.grow(delta).map_err(|_| {
            let (pages, maximum) = (self.size(), self.0.memory().max_pages());
            cannot_grow(format_args!("shared memory of {pages} pages"), pages, delta, maximum)
        })
    }

    /// Copies from the memory to `buffer`. Of what other threads write meanwhile it may see any part.
    ///
    /// # Errors
    /// The range is not inside the memory; nothing is copied.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), MemoryAccessError> {
        let len = buffer.len();
        self.0.read(offset, buffer).ok_or_else(|| self.outside(offset, len))
    }

    /// Copies from `buffer` to the memory. Other threads may see any part of it before it is done.
    ///
    /// # Errors
    /// The range is not inside the memory; nothing is copied.
    pub fn write(&self, offset: usize, buffer: &[u8]) -> Result<(), MemoryAccessError> {
        self.0.write(offset, buffer).ok_or_else(|| self.outside(offset, buffer.len()))
    }

    fn outside(&self, offset: usize, len: usize) -> MemoryAccessError {
        MemoryAccessError { offset, len, size: self.data_size() }
    }

    /// Its bytes, as they are now many. They are written by whoever has the memory, at any time: use atomics.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use wasmrun::{Engine, MemoryType, SharedMemory};
    ///
    /// let memory = SharedMemory::new(&Engine::default(), MemoryType::shared(1, 1))?;
    /// let place = memory.data()[64..68].as_ptr();
    /// // SAFETY: the bytes live as long as the memory, and are aligned.
    /// let word = unsafe { AtomicU32::from_ptr(place.cast_mut().cast()) };
    /// word.store(7, Ordering::SeqCst);
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn data(&self) -> &[UnsafeCell<u8>] {
        let memory = self.0.memory();
        // SAFETY: so many bytes are there as long as the memory is, at the same place; a cell promises nothing about them.
        unsafe { std::slice::from_raw_parts(memory.base().cast_const().cast(), memory.len()) }
    }

    /// Wakes at most `count` of the threads that wait at an address, as `memory.atomic.notify` does. Returns how many.
    ///
    /// # Errors
    /// [`Trap::MemoryOutOfBounds`], or [`Trap::UnalignedAtomic`] if the address is no multiple of 4.
    pub fn atomic_notify(&self, address: u64, count: u32) -> Result<u32, Trap> {
        self.0.notify(address, count)
    }

    /// Waits at an address while the 4 bytes there are `expected`, until somebody notifies it or the time is over, as
    /// `memory.atomic.wait32` does. `None` is no end of the time.
    ///
    /// # Errors
    /// [`Trap::MemoryOutOfBounds`], or [`Trap::UnalignedAtomic`] if the address is no multiple of 4.
    pub fn atomic_wait32(
        &self,
        address: u64,
        expected: u32,
        timeout: Option<Duration>,
    ) -> Result<WaitResult, Trap> {
        self.wait(address, Expected::Word32(expected), timeout)
    }

    /// As [`atomic_wait32`](SharedMemory::atomic_wait32), with 8 bytes.
    ///
    /// # Errors
    /// [`Trap::MemoryOutOfBounds`], or [`Trap::UnalignedAtomic`] if the address is no multiple of 8.
    pub fn atomic_wait64(
        &self,
        address: u64,
        expected: u64,
        timeout: Option<Duration>,
    ) -> Result<WaitResult, Trap> {
        self.wait(address, Expected::Word64(expected), timeout)
    }

    fn wait(&self, address: u64, expected: Expected, timeout: Option<Duration>) -> Result<WaitResult, Trap> {
        Ok(match self.0.wait(address, expected, timeout)? {
            vm::Waited::Notified => WaitResult::Ok,
            vm::Waited::NotEqual => WaitResult::NotEqual,
            vm::Waited::TimedOut => WaitResult::TimedOut,
        })
    }
}
