//! Instructions on tables.

use super::Translator;
use super::stack::Ty;
use crate::field::Field;
use crate::table;

impl Translator<'_> {
    /// The type of indices of a table.
    pub(super) fn index_ty(&self, table: u32) -> Ty {
        if self.module.table_type(table).is_64() { Ty::I64 } else { Ty::I32 }
    }

    pub(super) fn holds_collected(&self, table: u32) -> bool {
        Ty::of(wasmrun_runtime::types::ValType::Ref(self.module.table_type(table).element)).is_collected()
    }

    pub(super) fn table_get(&mut self, table: u32) {
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_GET, 1, &[(Field::Table, table)], Some(Ty::Func));
        }
        let index = self.stack.pop();
        let index = self.in_slot(index);
        let dest = self.push_temp(Ty::Collected);
        self.out.op(table::REF_TABLE_GET);
        self.out.field(Field::RefDest, dest.into());
        self.out.slot(index);
        self.out.field(Field::Table, table.into());
    }

    pub(super) fn table_set(&mut self, table: u32) {
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_SET, 2, &[(Field::Table, table)], None);
        }
        let value = self.stack.pop();
        let index = self.stack.pop();
        let index = self.in_slot(index);
        self.out.op(table::REF_TABLE_SET);
        self.out.slot(index);
        self.out.ref_slot(value.home);
        self.out.field(Field::Table, table.into());
    }

    pub(super) fn table_grow(&mut self, table: u32) {
        let ty = self.index_ty(table);
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_GROW, 2, &[(Field::Table, table)], Some(ty));
        }
        let delta = self.stack.pop();
        let value = self.stack.pop();
        let delta = self.in_slot(delta);
        let dest = self.push_temp(ty);
        self.out.op_to(table::REF_TABLE_GROW, dest, None);
        self.out.ref_slot(value.home);
        self.out.slot(delta);
        self.out.field(Field::Table, table.into());
    }

    pub(super) fn table_fill(&mut self, table: u32) {
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_FILL, 3, &[(Field::Table, table)], None);
        }
        let len = self.stack.pop();
        let value = self.stack.pop();
        let start = self.stack.pop();
        let (start, len) = (self.in_slot(start), self.in_slot(len));
        self.out.op(table::REF_TABLE_FILL);
        self.out.slot(start);
        self.out.ref_slot(value.home);
        self.out.slot(len);
        self.out.field(Field::Table, table.into());
    }
}
