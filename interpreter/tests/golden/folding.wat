(module
  (func $add (param i32) (result i32) (local i32)
    (i32.add (local.get 0) (i32.const 7)))
  (func $far (param i64) (result i64) (local i32)
    (i64.xor (local.get 0) (i64.const 0x100000000)))
  (func $swap (param i32 i32)
    (local.set 0 (i32.mul (local.get 0) (local.get 1)))
    ;; The operand keeps the value that its local had.
    (local.get 1)
    (local.set 1 (i32.const 2))
    (local.set 0)))
