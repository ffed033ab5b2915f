(module
  (memory i64 1)
  (func (param $array i64) (param $index i64) (result i32)
    (i64.store8 offset=3 (local.get $array) (i64.const 7))
    (i32.store (i64.const 16) (i32.const 5))
    (i32.add
      (i32.load (i64.add (local.get $array) (i64.shl (local.get $index) (i64.const 2))))
      (i32.add
        (i32.load offset=8 (i64.add (local.get $array) (i64.const 100)))
        (i32.load offset=0x1_0000_0000 (local.get $index))))))
