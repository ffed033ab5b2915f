(module
  (func $ints (param i32 i32)
    (loop $next
      (local.set 0 (i32.add (local.get 0) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get 0) (local.get 1)))))
  (func $eqz (param i32)
    (block $out
      (br_if $out (i32.eqz (local.get 0)))
      (unreachable)))
  (func $floats (param f64) (result i32)
    (if (result i32) (f64.lt (local.get 0) (f64.const 0.5))
      (then (i32.const 1))
      (else (i32.const 2)))))
