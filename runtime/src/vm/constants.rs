//! Values of constant expressions in an instance.

use super::context::VmContext;
use crate::const_expr::{ConstContext, ConstExpr};
use crate::value::RawValue;

/// The value of a constant expression.
///
/// # Safety
/// `ctx` is alive, `expr` is of its module, and the globals that it reads have their values.
pub(super) unsafe fn evaluate(ctx: *mut VmContext, expr: &ConstExpr) -> RawValue {
    // SAFETY: the caller's promise.
    expr.evaluate(unsafe { VmContext::module(ctx) }.bytes(), &mut Names(ctx))
}

/// Resolves names in constant expressions by a context.
struct Names(*mut VmContext);

impl ConstContext for Names {
    fn global(&mut self, index: u32) -> RawValue {
        // SAFETY: promised to `evaluate`: indices are of the module.
        unsafe { (*VmContext::global(self.0, index)).value() }
    }

    fn func_ref(&mut self, index: u32) -> RawValue {
        // SAFETY: as above; a function that an expression names has a slot.
        (unsafe { VmContext::func_ref(self.0, index).as_ptr() } as u64).into()
    }
}
