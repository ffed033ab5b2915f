//! Values of constant expressions in an instance.

use wasmparser::Operator;

use super::builtins;
use super::context::VmContext;
use super::gc::Tracer;
use crate::const_expr::{ConstContext, ConstExpr};
use crate::trap::Pending;
use crate::types::object::Storage;
use crate::value::RawValue;

/// An operand of a constant expression. They are kept in the execution context, where a collection finds them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constant {
    value: RawValue,
    is_collected: bool,
}

impl Constant {
    /// Shows it to a collection if it is a reference.
    ///
    /// # Safety
    /// It is one of the store that is collected.
    pub(super) unsafe fn trace(&mut self, tracer: &mut Tracer<'_>) {
        if self.is_collected {
            let mut word = self.value.low() as u32;
            // SAFETY: the caller's promise.
            unsafe { tracer.visit(&mut word) };
            self.value = u64::from(word).into();
        }
    }
}

/// The value of a constant expression. Evaluating it may collect.
///
/// # Errors
/// An instruction traps, or there is no memory for an object.
///
/// # Safety
/// `ctx` is alive, `expr` is of its module, and the globals that it reads have their values. All references are where a
/// collection finds them.
pub(super) unsafe fn evaluate(ctx: *mut VmContext, expr: &ConstExpr) -> Result<RawValue, Pending> {
    // SAFETY: the caller's promise. Only this function and what it calls have operands.
    unsafe {
        let exec = VmContext::exec(ctx);
        let value = expr.evaluate(VmContext::module(ctx).bytes(), &mut Names(ctx));
        if value.is_err() {
            (*exec).constants.clear();
        }
        value
    }
}

/// Resolves names in constant expressions by a context.
struct Names(*mut VmContext);

impl Names {
    fn operands(&mut self) -> &mut Vec<Constant> {
        // SAFETY: promised to `evaluate`.
        unsafe { &mut (*VmContext::exec(self.0)).constants }
    }

    fn push_reference(&mut self, word: u32) {
        self.operands().push(Constant { value: u64::from(word).into(), is_collected: true });
    }

    /// Stores the topmost operands into an object, which is on top of them, at these places, and leaves the object alone.
    fn store_operands(&mut self, places: impl DoubleEndedIterator<Item = (u32, Storage)>) {
        let object = self.pop().low() as u32;
        for (offset, storage) in places.rev() {
            let value = self.pop().words();
            // SAFETY: the expression has been validated: the places are of the object, and of the operands' types.
            unsafe { builtins::store(VmContext::exec(self.0), object, offset as usize, storage, value) };
        }
        self.push_reference(object);
    }
}

impl ConstContext for Names {
    fn global(&mut self, index: u32) -> RawValue {
        // SAFETY: promised to `evaluate`: indices are of the module.
        unsafe { (*VmContext::global(self.0, index)).value() }
    }

    fn func_ref(&mut self, index: u32) -> RawValue {
        // SAFETY: as above; a function that an expression names has a slot.
        (unsafe { VmContext::func_ref(self.0, index).as_ptr() } as u64).into()
    }

    fn push(&mut self, value: RawValue) {
        self.operands().push(Constant { value, is_collected: false });
    }

    fn push_global(&mut self, index: u32) {
        let value = self.global(index);
        // SAFETY: promised to `evaluate`.
        let is_collected = unsafe { VmContext::module(self.0) }.global_type(index).content.is_collected();
        self.operands().push(Constant { value, is_collected });
    }

    fn pop(&mut self) -> RawValue {
        self.operands().pop().map_or(RawValue::ZERO, |constant| constant.value)
    }

    fn object(&mut self, operator: &Operator<'_>) -> Result<(), Pending> {
        let ctx = self.0;
        // SAFETY: promised to `evaluate`; the expression has been validated, and operands are where a collection finds them.
        unsafe {
            let module = VmContext::module(ctx);
            match *operator {
                Operator::RefI31 => {
                    let value = self.pop().low() as u32;
                    self.push_reference((value << 1) | 1);
                }
                Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
                Operator::StructNewDefault { struct_type_index } => {
                    let object = builtins::struct_new(ctx, struct_type_index)?;
                    self.push_reference(object);
                }
                Operator::StructNew { struct_type_index } => {
                    let object = builtins::struct_new(ctx, struct_type_index)?;
                    self.push_reference(object);
                    let fields = &module.struct_layout(struct_type_index).fields;
                    self.store_operands(fields.iter().map(|field| (field.offset, field.storage)));
                }
                Operator::ArrayNewDefault { array_type_index } => {
                    let len = self.pop().low() as u32;
                    let array = builtins::array_new(ctx, array_type_index, len)?;
                    self.push_reference(array);
                }
                Operator::ArrayNew { array_type_index } => {
                    let len = self.pop().low() as u32;
                    let array = builtins::array_new(ctx, array_type_index, len)?;
                    let value = self.pop().words();
                    builtins::array_fill(ctx, array_type_index, array, 0, value, len)?;
                    self.push_reference(array);
                }
                Operator::ArrayNewFixed { array_type_index, array_size } => {
                    let array = builtins::array_new(ctx, array_type_index, array_size)?;
                    self.push_reference(array);
                    let layout = module.array_layout(array_type_index);
                    let place = |i| (layout.first + i * layout.storage.bytes(), layout.storage);
                    self.store_operands((0..array_size).map(place));
                }
                ref other => unreachable!("validated constant expression contains {other:?}"),
            }
        }
        Ok(())
    }
}
