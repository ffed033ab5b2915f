(module
  (tag $t (param i32 externref))
  (tag $empty)
  (func $throw (param i32 externref)
    (throw $t (local.get 0) (local.get 1)))
  ;; The handlers' values are where the labels expect them.
  (func $direct (param i32 externref) (result i32) (local exnref)
    (block $all
      (block $caught (result i32 externref exnref)
        (try_table (catch_ref $t $caught) (catch_all $all)
          (call $throw (local.get 0) (local.get 1)))
        (return (i32.const 1)))
      (local.set 2) (local.set 1)
      (return))
    (throw_ref (local.get 2)))
  ;; They are moved for a label below an operand, and for a loop they branch backwards.
  (func $pads (param i32) (result i32)
    (loop $again
      (block $below (result i32 externref)
        (f64.const 5)
        (try_table (result i32) (catch $t $below) (catch $empty $again)
          (i32.add (local.get 0) (i32.const 1))
          (call $throw (local.get 0) (ref.null extern)))
        (return))
      (drop) (return))
    (unreachable))
  (func $legacy (param i32) (result i32)
    try (result i32)
      try
        (call $throw (local.get 0) (ref.null extern))
      delegate 0
      (i32.const 1)
    catch $t
      (drop)
    catch_all
      rethrow 0
    end))
