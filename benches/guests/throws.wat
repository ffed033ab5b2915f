(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  ;; The first argument, a number; 1 if there is none.
  (func $argument (result i32)
    (local $at i32) (local $digit i32) (local $number i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (if (i32.or (i32.lt_u (i32.load (i32.const 0)) (i32.const 2)) (i32.gt_u (i32.load (i32.const 4)) (i32.const 4096)))
      (then (return (i32.const 1))))
    (drop (call $args_get (i32.const 1024) (i32.const 8192)))
    (local.set $at (i32.load (i32.const 1028)))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.lt_u (local.get $digit) (i32.const 10))
        (then
          (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 10)) (local.get $digit)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.get $number))

  ;; Prints a number on a line of its own.
  (func $print (param $number i32)
    (local $at i32)
    (local.set $at (i32.const 63))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (br_if $digit (local.tee $number (i32.div_u (local.get $number) (i32.const 10)))))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 64) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  ;; Errors that are thrown and caught one call further out, a few calls further out, and not at all.
  (tag $error (param i32))
  (global $seed (mut i32) (i32.const 1))

  (func $work (param $depth i32) (param $number i32) (result i32)
    (if (local.get $depth)
      (then (return (i32.add (i32.const 1)
        (call $work (i32.sub (local.get $depth) (i32.const 1)) (local.get $number))))))
    (loop $spin
      (local.set $number (i32.mul (local.get $number) (i32.const 1103515245)))
      (br_if $spin (i32.eqz (local.get $number))))
    (if (i32.and (local.get $number) (i32.const 0x10000)) (then (throw $error (local.get $number))))
    (local.get $number))

  (func (export "_start")
    (local $rounds i32) (local $sum i32)
    (local.set $rounds (i32.mul (call $argument) (i32.const 100000)))
    (loop $again
      (block $caught (result i32)
        (try_table (result i32) (catch $error $caught)
          (call $work (i32.and (local.get $rounds) (i32.const 7)) (i32.or (local.get $rounds) (i32.const 1)))))
      (local.set $sum (i32.add (local.get $sum)))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (call $print (local.get $sum)))
)
