//! Functions of the host.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::context::VmContext;
use super::exec::ExecContext;
use crate::trap::{HostError, Pending};
use crate::types::{FuncType, SignatureSlots};

/// A call of a host function: where its arguments are and its results go.
///
/// Arguments and results start at the same slots, as in every call.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    /// The store's execution context.
    pub exec: *mut ExecContext,
    /// The context of the calling instance; null when the host calls.
    pub caller: *mut VmContext,
    /// Value slots.
    pub values: *mut u64,
    /// Reference slots.
    pub references: *mut u32,
}

// The fields of a `HostCall`, one by one: they travel in registers, where the struct would be written to memory, and read
// back before it has arrived there.
type Entry =
    dyn Fn(*mut ExecContext, *mut VmContext, *mut u64, *mut u32) -> Result<(), HostError> + Send + Sync;

/// A function of the host with its type. It belongs to no store and no engine; a store that uses it keeps it
/// alive, and gives its type the id that it has there.
pub struct HostFunc {
    ty: FuncType,
    slots: SignatureSlots,
    entry: Box<Entry>,
}

impl HostFunc {
    /// A host function.
    pub fn new(
        ty: FuncType,
        entry: impl Fn(HostCall) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> HostFunc {
        let slots = ty.slots();
        let entry =
            move |exec, caller, values, references| entry(HostCall { exec, caller, values, references });
        HostFunc { ty, slots, entry: Box::new(entry) }
    }

    /// Its type.
    #[inline]
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }

    /// How its arguments and results spread over the stacks.
    #[inline]
    pub fn slots(&self) -> SignatureSlots {
        self.slots
    }

    /// Calls it for guest code of any tier, or for the host. Entries that it makes have the value slots from
    /// `value_top` on, and the reference slots behind its own; references that the host gets meanwhile are in a scope of
    /// the call. Nothing unwinds out of this.
    ///
    /// # Safety
    /// The pointers of `call` are those of a running call with arguments of this function's type; the slots from
    /// `value_top` on are free, and so are those behind the function's reference slots.
    #[inline]
    pub unsafe fn call_caught(&self, call: HostCall, value_top: *mut u64) -> Result<(), Pending> {
        let HostCall { exec, caller, values, references } = call;
        // SAFETY: the context is alive. No reference to it is held while the function runs, which may re-enter.
        unsafe {
            let tops = ((*exec).value_top, (*exec).ref_top);
            let scope = (*exec).handles.open();
            (*exec).value_top = value_top;
            (*exec).ref_top = references.wrapping_add(self.slots.ref_shared() as usize);
            let result = catch_unwind(AssertUnwindSafe(|| (self.entry)(exec, caller, values, references)));
            ((*exec).value_top, (*exec).ref_top) = tops;
            (*exec).handles.close(scope);
            match result {
                Ok(result) => result.map_err(Pending::Host),
                Err(panic) => Err(Pending::Panic(panic)),
            }
        }
    }
}

impl fmt::Debug for HostFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunc").field("ty", &self.ty).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::ptr;

    use super::*;
    use crate::types::ValType;
    use crate::vm::StackSizes;

    #[test]
    fn tops_are_beyond_the_slots_during_a_call_and_as_before_however_it_ends() {
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        let before = (exec.value_top, exec.ref_top);
        let ty = FuncType::new([ValType::EXTERNREF, ValType::I64, ValType::EXTERNREF], [ValType::I64]);
        let func = HostFunc::new(ty, |call| {
            // SAFETY: the context and the slots are there.
            unsafe {
                assert_eq!((*call.exec).value_top, call.values.add(5));
                assert_eq!((*call.exec).ref_top, call.references.add(2));
                match *call.values {
                    0 => Ok(()),
                    1 => Err("an error".into()),
                    _ => resume_unwind(Box::new("a panic")),
                }
            }
        });
        let exec = &raw mut *exec;
        let (values, references) = before;
        let call = |how| {
            let call = HostCall { exec, caller: ptr::null_mut(), values, references };
            // SAFETY: the context is alive, and all its slots are free.
            unsafe {
                *values = how;
                let result = func.call_caught(call, values.add(5));
                assert_eq!(((*exec).value_top, (*exec).ref_top), before);
                result
            }
        };
        assert!(call(0).is_ok());
        assert!(matches!(call(1), Err(Pending::Host(error)) if error.to_string() == "an error"));
        assert!(
            matches!(call(2), Err(Pending::Panic(payload)) if payload.downcast_ref() == Some(&"a panic"))
        );
    }
}
