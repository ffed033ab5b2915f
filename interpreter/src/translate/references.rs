//! Instructions that ask whether a reference is null.

use super::Translator;
use super::emit::Fixup;
use super::stack::Ty;
use crate::table::{self, BinaryKind};

impl Translator<'_> {
    pub(super) fn ref_as_non_null(&mut self) {
        let reference = self.stack.pop();
        let slot = self.in_slot(reference);
        self.out.commit();
        if reference.ty.is_collected() {
            self.out.op(table::REF_NON_NULL);
            self.out.ref_slot(slot);
        } else {
            self.out.op(table::NON_NULL);
            self.out.slot(slot);
        }
        self.stack.push(reference.ty, reference.place);
    }

    pub(super) fn ref_is_null(&mut self) {
        let a = self.stack.pop();
        if a.ty.is_collected() {
            let dest = self.push_temp(Ty::I32);
            self.out.op_to(table::REF_IS_NULL, dest, None);
            self.out.ref_slot(a.home);
            return;
        }
        self.stack.push(Ty::I64, a.place);
        self.eqz(BinaryKind::I64Eq, Ty::I64);
    }

    /// `br_on_null`: the reference stays if it is not null.
    pub(super) fn br_on_null(&mut self, depth: u32) {
        let reference = self.stack.pop();
        let slot = self.in_slot(reference);
        self.branch_on(depth, |this, taken, back| this.branch_when_null(reference.ty, slot, taken, back));
        self.stack.push(reference.ty, reference.place);
    }

    /// `br_on_non_null`: the branch carries the reference, which is gone if it is null.
    pub(super) fn br_on_non_null(&mut self, depth: u32) {
        let reference = self.stack.get(self.stack.len() - 1);
        let slot = self.in_slot(reference);
        self.branch_on(depth, |this, taken, back| this.branch_when_null(reference.ty, slot, !taken, back));
        self.stack.pop();
    }

    /// Branches when the reference in a slot is null, or when it is not: to `back`, or forwards to what the returned fixup is
    /// bound to.
    pub(super) fn branch_when_null(
        &mut self,
        ty: Ty,
        slot: u16,
        when: bool,
        back: Option<usize>,
    ) -> Option<Fixup> {
        self.out.commit();
        let at = self.out.op(table::br_null(ty.is_collected(), when, back.is_some()));
        if ty.is_collected() {
            self.out.ref_slot(slot);
        } else {
            self.out.slot(slot);
        }
        match back {
            Some(start) => {
                self.out.displacement(at, start);
                None
            }
            None => Some(self.out.forward(at)),
        }
    }
}
