//! Linear memories.

use std::fmt;

use wasmrun_runtime::module::HostObject;
use wasmrun_runtime::vm;

use super::cannot_grow;
use super::export::host_object;
use crate::entry::grow_memory;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::store::{AsContext, AsContextMut, StoreContext, StoreContextMut};
use crate::types::MemoryType;

/// A linear memory.
///
/// Methods that return no `Result` panic when the memory belongs to another store or its instance has been
/// dropped.
///
/// ```
/// use wasmrun::{Engine, Memory, MemoryType, Store};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let memory = Memory::new(&mut store, MemoryType::new(1, Some(2)))?;
/// memory.write(&mut store, 100, b"hello")?;
/// assert_eq!(&memory.data(&store)[100..105], b"hello");
/// assert_eq!(memory.grow(&mut store, 1)?, 1);
/// assert_eq!(memory.data_size(&store) as u64, memory.size(&store) * memory.page_size(&store));
/// assert!(memory.grow(&mut store, 1).is_err());
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    handle: Handle<vm::Memory>,
}

impl Memory {
    pub(crate) fn from_handle(handle: Handle<vm::Memory>) -> Memory {
        Memory { handle }
    }

    pub(crate) fn handle(&self) -> &Handle<vm::Memory> {
        &self.handle
    }

    /// A zeroed memory.
    ///
    /// # Errors
    /// The limiter of the store or the system refuses, or the type is that of a [`SharedMemory`](crate::SharedMemory).
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Memory> {
        ty.check()?;
        if ty.is_shared() {
            return Err(Error::msg(
                "a memory of a shared type is a `SharedMemory`, which belongs to no store",
            ));
        }
        let item = host_object(store.as_context_mut().inner_mut(), HostObject::Memory(ty))?;
        Ok(item.into_memory().expect("a memory was made"))
    }

    /// Its type, with its current size as the minimum.
    pub fn ty(&self, store: impl AsContext) -> MemoryType {
        let store = store.as_context();
        let memory = self.get(&store);
        let mut ty = memory.ty();
        ty.limits.min = memory.pages();
        ty
    }

    fn get<'a, T>(&self, store: &StoreContext<'a, T>) -> &'a vm::Memory {
        self.handle.get(&store.inner().opaque).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Its bytes.
    pub fn data<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a [u8] {
        self.get(&store.into()).data()
    }

    /// Its bytes, to be changed.
    pub fn data_mut<'a, T: 'static>(&self, store: impl Into<StoreContextMut<'a, T>>) -> &'a mut [u8] {
        self.data_and_store_mut(store).0
    }

    /// Its bytes and the host's data, both to be changed.
    ///
    /// ```
    /// # use wasmrun::{Engine, Memory, MemoryType, Store};
    /// let mut store = Store::new(&Engine::default(), vec![1, 2, 3]);
    /// let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
    /// let (bytes, host) = memory.data_and_store_mut(&mut store);
    /// bytes[..3].copy_from_slice(host);
    /// host.clear();
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn data_and_store_mut<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let inner = store.into().into_inner();
        match self.handle.get_mut(&mut inner.opaque) {
            Ok(memory) => (memory.data_mut(), &mut inner.data),
            Err(error) => panic!("{error}"),
        }
    }

    /// Copies from the memory to `buffer`.
    ///
    /// # Errors
    /// The range is not inside the memory; nothing is copied.
    pub fn read(
        &self,
        store: impl AsContext,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), MemoryAccessError> {
        let store = store.as_context();
        let data = self.get(&store).data();
        let range = range(offset, buffer.len(), data.len())?;
        buffer.copy_from_slice(&data[range]);
        Ok(())
    }

    /// Copies from `buffer` to the memory.
    ///
    /// # Errors
    /// The range is not inside the memory; nothing is copied.
    pub fn write(
        &self,
        mut store: impl AsContextMut,
        offset: usize,
        buffer: &[u8],
    ) -> Result<(), MemoryAccessError> {
        let mut store = store.as_context_mut();
        let data = self.data_mut(&mut store);
        let range = range(offset, buffer.len(), data.len())?;
        data[range].copy_from_slice(buffer);
        Ok(())
    }

    /// Its size in pages.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.get(&store.as_context()).pages()
    }

    /// Bytes in one of its pages.
    pub fn page_size(&self, store: impl AsContext) -> u64 {
        self.get(&store.as_context()).ty().page_size()
    }

    /// Its size in bytes.
    pub fn data_size(&self, store: impl AsContext) -> usize {
        self.get(&store.as_context()).len()
    }

    /// Grows it by `delta` pages and returns the old size in pages. New bytes are zero.
    ///
    /// # Errors
    /// Its maximum, the limiter of the store or the system does not allow it; nothing has changed.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64) -> Result<u64> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        inner.opaque.check_not_in_callback()?;
        let memory = self.handle.get(&inner.opaque)?;
        let (pages, maximum) = (memory.pages(), memory.max_pages());
        if let Some(old) = grow_memory(inner, &self.handle, delta)? {
            return Ok(old);
        }
        Err(cannot_grow(format_args!("memory of {pages} pages"), pages, delta, maximum))
    }
}

fn range(offset: usize, len: usize, size: usize) -> Result<std::ops::Range<usize>, MemoryAccessError> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(offset..end),
        _ => Err(MemoryAccessError { offset, len, size }),
    }
}

/// The host reads or writes outside of a memory.
///
/// ```
/// # use wasmrun::{Engine, Memory, MemoryType, Store};
/// let mut store = Store::new(&Engine::default(), ());
/// let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
/// let error = memory.write(&mut store, 65535, b"ab").unwrap_err();
/// assert_eq!(error.to_string(), "2 bytes at offset 65535 are not inside a memory of 65536 bytes");
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryAccessError {
    /// First byte of the access.
    pub offset: usize,
    /// Number of bytes.
    pub len: usize,
    /// Bytes that the memory has.
    pub size: usize,
}

impl fmt::Display for MemoryAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoryAccessError { offset, len, size } = self;
        write!(f, "{len} bytes at offset {offset} are not inside a memory of {size} bytes")
    }
}

impl std::error::Error for MemoryAccessError {}
