//! Tables.

use wasmrun_runtime::module::HostObject;
use wasmrun_runtime::vm;

use super::cannot_grow;
use super::elements::{copy_elements, fill_elements, set_element, table_element};
use super::export::host_object;
use crate::entry::grow_table;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::store::{AsContext, AsContextMut};
use crate::types::TableType;
use crate::values::Ref;

/// A table of references.
///
/// Methods that return no `Result` panic when the table belongs to another store or its instance has been
/// dropped.
///
/// ```
/// use wasmrun::{Engine, Func, Ref, RefType, Store, Table, TableType};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = TableType::new(RefType::FUNCREF, 2, None);
/// let table = Table::new(&mut store, ty, Ref::Func(None))?;
/// let double = Func::wrap(&mut store, |x: i32| x * 2);
/// table.set(&mut store, 1, double.into())?;
/// assert!(matches!(table.get(&mut store, 0), Some(Ref::Func(None))));
/// assert!(matches!(table.get(&mut store, 1), Some(Ref::Func(Some(_)))));
/// assert!(table.get(&mut store, 2).is_none());
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Table {
    handle: Handle<vm::Table>,
}

impl Table {
    pub(crate) fn from_handle(handle: Handle<vm::Table>) -> Table {
        Table { handle }
    }

    pub(crate) fn handle(&self) -> &Handle<vm::Table> {
        &self.handle
    }

    /// A table whose elements are all `init`.
    ///
    /// # Errors
    /// The limiter of the store or the engine refuses the size, `init` is not of the element type, or that is of another engine.
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Ref) -> Result<Table> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        // Before anything is made of it.
        let null = init.to_word(&inner.opaque, ty.element)? == 0;
        if ty.limits.max.is_some_and(|max| max < ty.limits.min) {
            return Err(Error::msg("a table's maximum cannot be less than its initial length"));
        }
        let item = host_object(inner, HostObject::Table(ty))?;
        let table = item.into_table().expect("a table was made");
        if !null {
            let len = table.handle.get(&inner.opaque)?.len();
            fill_elements(&mut inner.opaque, &table.handle, 0, init, len)?;
        }
        Ok(table)
    }

    /// Its type, with its current length as the minimum.
    pub fn ty(&self, store: impl AsContext) -> TableType {
        let store = store.as_context();
        let table = self.get_raw(&store.inner().opaque);
        let mut ty = table.ty();
        ty.limits.min = table.len();
        ty
    }

    fn get_raw<'a>(&self, store: &'a crate::store::StoreOpaque) -> &'a vm::Table {
        self.handle.get(store).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Number of elements.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.get_raw(&store.as_context().inner().opaque).len()
    }

    /// An element, or `None` outside of the table.
    pub fn get(&self, mut store: impl AsContextMut, index: u64) -> Option<Ref> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        let element = table_element(opaque, &self.handle, index);
        element.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sets an element.
    ///
    /// # Errors
    /// There is no such element, or the value is not of the element type.
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Ref) -> Result<()> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        set_element(opaque, &self.handle, index, value)
    }

    /// Grows it by `delta` elements of `init` and returns the old length.
    ///
    /// # Errors
    /// Its maximum, the limiter of the store or the engine does not allow it, or `init` is not of the
    /// element type; nothing has changed.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Ref) -> Result<u64> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        inner.opaque.check_not_in_callback()?;
        let table = self.handle.get(&inner.opaque)?;
        let (len, maximum) = (table.len(), table.max_len());
        if let Some(old) = grow_table(inner, &self.handle, delta, init)? {
            return Ok(old);
        }
        Err(cannot_grow(format_args!("table of {len} elements"), len, delta, maximum))
    }

    /// Sets `len` elements from `start` on.
    ///
    /// # Errors
    /// They are not all inside the table, or the value is not of the element type; nothing has changed.
    pub fn fill(&self, mut store: impl AsContextMut, start: u64, value: Ref, len: u64) -> Result<()> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        fill_elements(opaque, &self.handle, start, value, len)
    }

    /// Copies `len` elements from `source` to `target`, which may be the same table.
    ///
    /// # Errors
    /// They are not all inside the tables, or the element types differ; nothing has changed.
    pub fn copy(
        mut store: impl AsContextMut,
        target: &Table,
        target_start: u64,
        source: &Table,
        source_start: u64,
        len: u64,
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        let to = (&target.handle, target_start);
        copy_elements(opaque, to, (&source.handle, source_start), len)
    }
}
