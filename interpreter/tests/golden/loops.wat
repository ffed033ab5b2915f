(module
  (func $settled (param i32) (result i32)
    ;; A constant and a local, which are nowhere but in their users, until a loop starts.
    (i32.const 40)
    (local.get 0)
    (if (local.get 0)
      (then
        (loop $next
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br_if $next (local.get 0)))))
    ;; The way past the loop has not put the constant into its slot.
    (i32.add))
  (func $nested (param i32)
    (loop $outer
      (loop $inner
        (br_if $inner (local.get 0)))
      (i64.const 7)
      (loop (br_if $outer (local.get 0)))
      (drop))))
