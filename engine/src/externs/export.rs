//! From an instance's exports to handles of them.
//!
//! This is one of the modules that hold the crate's `unsafe`: the handles hold the instance's pointers.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use wasmrun_runtime::module::{ExternIndex, HostObject};
use wasmrun_runtime::vm::{self, InstanceKey, VmContext};

use super::{Extern, Global, Memory, SharedMemory, Table, Tag};
use crate::error::Result;
use crate::func::{Caller, Func};
use crate::handle::{Handle, wrong_handle};
use crate::instantiate::instantiate_host_object;
use crate::store::{AsContextMut, StoreInner, StoreOpaque};

/// An export of an instance that is there. The record of a function is made when it is first asked for, which
/// changes the instance: hence the exclusive borrow.
pub(crate) fn export(store: &mut StoreOpaque, key: InstanceKey, index: ExternIndex) -> Result<Extern> {
    let instance = store.vm.reachable(key).ok_or_else(|| wrong_handle(store.id, store))?;
    let context = instance.context();
    // SAFETY: the instance is alive, the index is one of its module, and exported functions have a record. A memory that is
    // shared is that of a `vm::SharedMemory`, which the instance has.
    // The pointers are not null: they were bound when the instance was made.
    unsafe {
        let non_null = "an instance's pointers are bound";
        Ok(match index {
            ExternIndex::Func(i) => {
                Func::from_handle(Handle::of_function(store, VmContext::func_ref(context, i))).into()
            }
            ExternIndex::Memory(i) => {
                let pointer = NonNull::new(VmContext::memory(context, i)).expect(non_null);
                if (*pointer.as_ptr()).is_shared() {
                    SharedMemory::from_runtime(vm::SharedMemory::from_ptr(pointer)).into()
                } else {
                    Memory::from_handle(Handle::of_instance(store, key, pointer)).into()
                }
            }
            ExternIndex::Table(i) => {
                let pointer = NonNull::new(VmContext::table(context, i)).expect(non_null);
                Table::from_handle(Handle::of_instance(store, key, pointer)).into()
            }
            ExternIndex::Global(i) => {
                let pointer = NonNull::new(VmContext::global(context, i)).expect(non_null);
                let ty = instance.module().global_type(i);
                Global::from_handle(Handle::of_instance(store, key, pointer), ty).into()
            }
            ExternIndex::Tag(i) => {
                let module = instance.module();
                let type_id = module.type_ids()[module.tag_type_index(i) as usize];
                Tag::of(store, VmContext::tag(context, i), type_id).into()
            }
        })
    }
}

/// Makes a memory, table or global that belongs to no module.
pub(super) fn host_object<T: 'static>(inner: &mut StoreInner<T>, object: HostObject) -> Result<Extern> {
    let key = instantiate_host_object(inner, object)?;
    let index = match object {
        HostObject::Memory(_) => ExternIndex::Memory(0),
        HostObject::Table(_) => ExternIndex::Table(0),
        HostObject::Global(_) => ExternIndex::Global(0),
    };
    export(&mut inner.opaque, key, index)
}

impl<T: 'static> Caller<'_, T> {
    /// An export of the instance that called. `None` when it has none of this name, or when the host called
    /// the function itself.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        let key = self.instance_key()?;
        let mut store = self.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        let index = opaque.vm.reachable(key)?.module().export(name)?;
        export(opaque, key, index).ok()
    }
}
