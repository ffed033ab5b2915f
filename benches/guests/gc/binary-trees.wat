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

  ;; Trees that are made, counted and dropped, of many depths, while one stays: Boehm's GCBench as the Benchmarks Game has it.
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))

  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (local.get $depth)
      (then
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (struct.new $tree (call $make (local.get $depth)) (call $make (local.get $depth))))
      (else (struct.new_default $tree))))

  ;; How many nodes a tree has.
  (func $count (param $tree (ref null $tree)) (result i32)
    (if (result i32) (ref.is_null (local.get $tree))
      (then (i32.const 0))
      (else
        (i32.add (i32.const 1)
          (i32.add
            (call $count (struct.get $tree $left (local.get $tree)))
            (call $count (struct.get $tree $right (local.get $tree))))))))

  (func (export "_start")
    (local $most i32) (local $depth i32) (local $rounds i32) (local $sum i32) (local $kept (ref null $tree))
    (local.set $most (call $argument))
    (call $print (call $count (call $make (i32.add (local.get $most) (i32.const 1)))))
    (local.set $kept (call $make (local.get $most)))
    (local.set $depth (i32.const 4))
    (loop $depths
      (local.set $rounds (i32.shl (i32.const 1) (i32.add (i32.sub (local.get $most) (local.get $depth)) (i32.const 4))))
      (local.set $sum (i32.const 0))
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (call $count (call $make (local.get $depth)))))
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (call $print (local.get $sum))
      (br_if $depths (i32.le_s (local.tee $depth (i32.add (local.get $depth) (i32.const 2))) (local.get $most))))
    (call $print (call $count (local.get $kept))))
)
