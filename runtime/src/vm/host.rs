//! Functions of the host.

use std::fmt;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::builtins::poll;
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

/// Calls a host function for the compiled code of the instance with context `caller`. The arguments are in `slots`,
/// and so are the results.
///
/// Returns null, or `exec` if the guest cannot go on: the reason is pending there. It does not unwind.
pub type DirectCall = unsafe extern "C" fn(
    exec: *mut ExecContext,
    caller: *mut VmContext,
    host: *const HostFunc,
    slots: *mut u64,
) -> *mut ExecContext;

/// A function of the host with its type. It belongs to no store and no engine; a store that uses it keeps it
/// alive, and gives its type the id that it has there.
#[repr(C)]
pub struct HostFunc {
    direct: Option<DirectCall>,
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
        HostFunc::of(ty, move |exec, caller, values, references| {
            entry(HostCall { exec, caller, values, references })
        })
    }

    fn of<F>(ty: FuncType, entry: F) -> HostFunc
    where
        F: Fn(*mut ExecContext, *mut VmContext, *mut u64, *mut u32) -> Result<(), HostError>
            + Send
            + Sync
            + 'static,
    {
        let slots = ty.slots();
        let direct = (slots.ref_shared() == 0).then_some(call_direct::<F> as DirectCall);
        HostFunc { direct, ty, slots, entry: Box::new(entry) }
    }

    /// Offset of the [`DirectCall`]: null if the function takes or gives collected references, which are not in slots.
    pub const DIRECT: usize = offset_of!(HostFunc, direct);

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
                Ok(result) => result.map_err(Pending::of_host),
                Err(panic) => Err(Pending::Panic(panic)),
            }
        }
    }
}

/// A [`DirectCall`] of a function made of an `F`, which is part of it: that spares the call through `entry`, and with a closure
/// that is known the catching of panics that it cannot have.
///
/// The tops stay as they are. The slots are on the native stack, no argument or result is a reference, and whoever moves the
/// tops puts them back. References that the host gets meanwhile are in a scope of the call, as in any.
unsafe extern "C" fn call_direct<F>(
    exec: *mut ExecContext,
    caller: *mut VmContext,
    host: *const HostFunc,
    slots: *mut u64,
) -> *mut ExecContext
where
    F: Fn(*mut ExecContext, *mut VmContext, *mut u64, *mut u32) -> Result<(), HostError>,
{
    // SAFETY: the entry of this function is an `F`, as `HostFunc::of` has made it. For the rest as for `call_caught`.
    unsafe {
        let entry = &*ptr::from_ref(&*(*host).entry).cast::<F>();
        let references = (*exec).ref_top;
        let scope = (*exec).handles.open();
        let result = catch_unwind(AssertUnwindSafe(|| entry(exec, caller, slots, references)));
        (*exec).handles.close(scope);
        let pending = match result {
            // It may have taken long.
            Ok(Ok(())) => match poll(exec) {
                Ok(()) => return ptr::null_mut(),
                Err(pending) => pending,
            },
            Ok(Err(error)) => Pending::of_host(error),
            Err(panic) => Pending::Panic(panic),
        };
        (*exec).set_pending(pending);
        exec
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
