(module
  (memory 1)
  (func $chain (param i32 i32) (result i32)
    (i32.mul (i32.add (local.get 0) (local.get 1)) (i32.const 3)))
  (func $memory (param i32 i32)
    (i32.store offset=4 (local.get 0)
      (i32.load offset=8 (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2))))))
  (func $both (param i32) (result i32)
    (i32.mul (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (local.get 0))))
