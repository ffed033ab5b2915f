//! The slow paths, called as compiled code calls them.

use std::mem::offset_of;

use wasmrun_jit::builtins::{Builtin, functions};
use wasmrun_runtime::trap::{Pending, Trap};
use wasmrun_runtime::vm::{ExecContext, FuncRef, NativeWords, VmContext};

use super::support::{Code, Entry, Guest, I64, assemble, ty};

/// A function `(vmctx, id, offset in the table, five arguments) -> i64` that calls a builtin. Builtins with
/// fewer arguments do not look at the rest.
pub fn any_builtin() -> &'static Code {
    assemble(&format!(
        "function %any(i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail {{
            sig0 = (i64, i64, i64, i64, i64, i64) -> i64, i64 system_v
            sig1 = (i64) system_v
        block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64):
            v10 = load.i64 notrap aligned v0+{exec}
            v11 = load.i64 notrap aligned v10+{native}
            v12 = iadd v11, v2
            v13 = load.i64 notrap aligned v12
            v14, v15 = call_indirect sig0, v13(v0, v3, v4, v5, v6, v7)
            brif v14, block1, block2
        block1 cold:
            v16 = load.i64 notrap aligned v11+{raise}
            call_indirect sig1, v16(v10)
            trap user1
        block2:
            return v15
        }}",
        exec = VmContext::EXEC,
        native = ExecContext::NATIVE,
        raise = Builtin::Raise.offset(),
    ))
}

/// As [`any_builtin`], for the slow path of `call_indirect`: it returns the callee if every register is kept that the other
/// arguments are in.
fn table_callee() -> &'static Code {
    assemble(&format!(
        "function %callee(i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail {{
            sig0 = (i64, i64, i64, i64) preserve_all
        block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64):
            v10 = load.i64 notrap aligned v0+{exec}
            v11 = load.i64 notrap aligned v10+{native}
            v12 = iadd v11, v2
            v13 = load.i64 notrap aligned v12
            call_indirect sig0, v13(v0, v3, v4, v5)
            v14 = load.i64 notrap aligned v10+{callee}
            v15 = load.i64 notrap aligned v0+{exec}
            v16 = load.i64 notrap aligned v15+{native}
            v17 = bxor v11, v16
            v20 = isub v12, v11
            v21 = isub v20, v2
            v22 = bxor v6, v7
            v23 = bor v17, v21
            v24 = bor v23, v22
            v25 = bor v14, v24
            return v25
        }}",
        exec = VmContext::EXEC,
        native = ExecContext::NATIVE,
        callee = ExecContext::NATIVE + offset_of!(NativeWords, callee),
    ))
}

struct Builtins {
    guest: Guest,
    entry: Entry,
    code: &'static Code,
}

impl Builtins {
    fn new(wat: &str) -> Builtins {
        Builtins { guest: Guest::new(wat), entry: Entry::new(&ty(&[I64; 6], &[I64])), code: any_builtin() }
    }

    fn call(&self, builtin: Builtin, args: &[u64]) -> Result<u64, Trap> {
        assert_eq!(builtin.signature().params.len(), 1 + args.len());
        // What is not an argument is not looked at.
        let mut slots = [0x7777_7777_7777_7777; 6];
        slots[0] = builtin.offset() as u64;
        slots[1..=args.len()].copy_from_slice(args);
        let code = if builtin == Builtin::TableCallee { table_callee() } else { self.code };
        match self.guest.call(&self.entry, code, &mut slots) {
            Ok(()) => Ok(slots[0]),
            Err(Pending::Trap(trap)) => Err(trap),
            other => panic!("{other:?}"),
        }
    }

    fn memory(&self) -> &[u8] {
        // SAFETY: no guest code runs while the slice lives.
        unsafe {
            let (base, len) = VmContext::memory0(self.guest.vmctx);
            std::slice::from_raw_parts(base, len)
        }
    }
}

/// The same number in the lower half of a word, and another in all of it.
const LONG: u64 = 0xabcd_0123 << 32;

#[test]
fn memories_grow_and_change() {
    let b = Builtins::new(r#"(module (memory 1 3) (data "wasmrun"))"#);
    assert_eq!(b.call(Builtin::MemoryGrow, &[0, 1]), Ok(1));
    assert_eq!(b.call(Builtin::MemoryGrow, &[0, 2]), Ok(u32::MAX.into()));
    assert_eq!(b.memory().len(), 2 << 16);
    assert_eq!(b.call(Builtin::MemoryInit, &[0, 0, 10, 4, 3]), Ok(0));
    assert_eq!(b.call(Builtin::MemoryCopy, &[0, 0, 11, 10, 3]), Ok(0));
    assert_eq!(b.call(Builtin::MemoryFill, &[0, 14, 0x5a7a, 2]), Ok(0));
    assert_eq!(&b.memory()[8..18], b"\0\0rrunzz\0\0");
    for (builtin, args) in [
        (Builtin::MemoryInit, &[0, 0, 0, 5, 3][..]),
        (Builtin::MemoryCopy, &[0, 0, 131_070, 0, 3]),
        (Builtin::MemoryFill, &[0, 131_070, 0, 3]),
    ] {
        assert_eq!(b.call(builtin, args), Err(Trap::MemoryOutOfBounds));
    }
    assert_eq!(b.call(Builtin::DataDrop, &[0]), Ok(0));
    assert_eq!(b.call(Builtin::MemoryInit, &[0, 0, 0, 0, 1]), Err(Trap::MemoryOutOfBounds));
}

#[test]
fn tables_grow_and_change() {
    let b = Builtins::new(
        "(module (table 2 5 externref) (table $f 2 funcref) (func $a) (func $b (param i32))
            (elem declare func $b) (elem func $a $b))",
    );
    assert_eq!(b.call(Builtin::TableSize, &[0]), Ok(2));
    assert_eq!(b.call(Builtin::TableGrow, &[0, 77, 2]), Ok(2));
    assert_eq!(b.call(Builtin::TableGrow, &[0, 77, 2]), Ok(u32::MAX.into()));
    assert_eq!(b.call(Builtin::TableSet, &[0, 0, 5]), Ok(0));
    assert_eq!(b.call(Builtin::TableCopy, &[0, 0, 1, 0, 1]), Ok(0));
    assert_eq!(b.call(Builtin::TableFill, &[0, 3, 9, 1]), Ok(0));
    let elements: Vec<_> = (0..4).map(|i| b.call(Builtin::TableGet, &[0, i])).collect();
    assert_eq!(elements, [Ok(5), Ok(5), Ok(77), Ok(9)]);
    assert_eq!(b.call(Builtin::TableInit, &[1, 1, 0, 0, 2]), Ok(0));
    let func = b.call(Builtin::RefFunc, &[1]).unwrap();
    assert_eq!(b.call(Builtin::TableGet, &[1, 1]), Ok(func));
    for (builtin, args) in [
        (Builtin::TableGet, &[0, 4][..]),
        (Builtin::TableSet, &[0, 4, 0]),
        (Builtin::TableFill, &[0, 3, 0, 2]),
        (Builtin::TableCopy, &[0, 0, 3, 0, 2]),
        (Builtin::TableInit, &[1, 1, 0, 1, 2]),
    ] {
        assert_eq!(b.call(builtin, args), Err(Trap::TableOutOfBounds));
    }
    assert_eq!(b.call(Builtin::ElemDrop, &[1]), Ok(0));
    assert_eq!(b.call(Builtin::TableInit, &[1, 1, 0, 0, 1]), Err(Trap::TableOutOfBounds));
}

#[test]
fn words_that_do_not_fit_are_out_of_bounds_and_not_cut() {
    use Builtin as B;
    let b = Builtins::new(
        r#"(module (memory 1 3) (data "wasmrun") (table 4 5 externref) (table 2 funcref) (func) (elem func 0))"#,
    );
    // All of them would do nothing but succeed without the upper half.
    for (builtin, args, places) in [
        (B::MemoryFill, &[0, 0, 0, 0][..], &[1, 3][..]),
        (B::MemoryCopy, &[0, 0, 0, 0, 0], &[2, 3, 4]),
        (B::MemoryInit, &[0, 0, 0, 0, 0], &[2, 3, 4]),
        (B::TableGet, &[0, 0], &[1]),
        (B::TableSet, &[0, 0, 0], &[1]),
        (B::TableFill, &[0, 0, 0, 0], &[1, 3]),
        (B::TableCopy, &[0, 0, 0, 0, 0], &[2, 3, 4]),
        (B::TableInit, &[0, 1, 0, 0, 0], &[2, 3, 4]),
    ] {
        let trap = match builtin {
            B::MemoryFill | B::MemoryCopy | B::MemoryInit => Trap::MemoryOutOfBounds,
            _ => Trap::TableOutOfBounds,
        };
        for place in places {
            let mut args = args.to_vec();
            args[*place] |= LONG;
            assert_eq!(b.call(builtin, &args), Err(trap), "{builtin:?} {place}");
        }
    }
    assert_eq!(b.call(B::MemoryGrow, &[0, 1 | LONG]), Ok(u32::MAX.into()));
    assert_eq!(b.call(B::TableGrow, &[0, 0, 1 | LONG]), Ok(u32::MAX.into()));
    assert_eq!((b.memory().len(), b.call(B::TableSize, &[0])), (1 << 16, Ok(4)));
}

#[test]
fn callees_are_looked_up_and_checked() {
    let b = Builtins::new(
        "(module (type (func)) (type (func (param i32))) (table 3 funcref) (func $a) (elem (i32.const 0) $a))",
    );
    // SAFETY: the context is alive.
    let own = unsafe { VmContext::type_id(b.guest.vmctx, 0) };
    // SAFETY: as above, and the module has a table.
    let first = unsafe { (*(*VmContext::table(b.guest.vmctx, 0)).descriptor()).elements } as u64;
    let callee = |index: u64, ty| {
        let at = first.wrapping_add(index.wrapping_mul(8));
        b.call(Builtin::TableCallee, &[0, at, ty])
    };
    let found = callee(0, 0).unwrap() as *const FuncRef;
    // SAFETY: a reference in a table.
    assert_eq!(unsafe { ((*found).func_index, (*found).type_id) }, (0, own));
    assert_eq!(callee(0, 1), Err(Trap::BadSignature));
    assert_eq!(callee(1, 0), Err(Trap::IndirectCallToNull));
    for outside in [3, u64::MAX, LONG] {
        assert_eq!(callee(outside, 0), Err(Trap::TableOutOfBounds));
    }
}

#[test]
fn entries_stand_in_the_table_where_their_numbers_say() {
    for (i, builtin) in Builtin::ALL.iter().enumerate() {
        assert_eq!(*builtin as usize, i);
        assert_eq!(builtin.offset(), 8 * i as i32);
        // SAFETY: the table has an entry for each.
        assert_eq!(unsafe { *functions::table().add(i) }, functions::function(*builtin));
    }
}
