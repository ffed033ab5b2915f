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

  ;; A queue behind a lock, a histogram and a counter, as threads would share them, in the hands of one: what atomic
  ;; instructions cost when nobody is in the way.
  (func $lock
    (loop $again
      (br_if $again (i32.atomic.rmw.cmpxchg (i32.const 256) (i32.const 0) (i32.const 1)))))

  (func $unlock (i32.atomic.store (i32.const 256) (i32.const 0)))

  (func (export "_start")
    (local $left i32) (local $number i32) (local $old i64)
    (local.set $left (i32.mul (call $argument) (i32.const 100000)))
    (local.set $number (i32.const 1))
    (loop $again
      (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 1103515245)) (i32.const 12345)))
      ;; Into the queue.
      (call $lock)
      (i32.store offset=16384
        (i32.shl (i32.and (i32.load (i32.const 264)) (i32.const 255)) (i32.const 2)) (local.get $number))
      (i32.store (i32.const 264) (i32.add (i32.load (i32.const 264)) (i32.const 1)))
      (call $unlock)
      ;; Into the histogram: narrow, and with what was there.
      (drop (i32.atomic.rmw16.add_u offset=20480
        (i32.shl (i32.shr_u (local.get $number) (i32.const 24)) (i32.const 1)) (i32.const 1)))
      ;; The largest so far, by a loop as compilers make it.
      (loop $larger
        (local.set $old (i64.atomic.load (i32.const 272)))
        (if (i64.gt_u (i64.extend_i32_u (local.get $number)) (local.get $old))
          (then (br_if $larger (i64.ne (local.get $old)
            (i64.atomic.rmw.cmpxchg (i32.const 272) (local.get $old) (i64.extend_i32_u (local.get $number))))))))
      (drop (i64.atomic.rmw.xor (i32.const 280) (i64.extend_i32_s (local.get $number))))
      (drop (i32.atomic.rmw8.xchg_u offset=288 (i32.and (local.get $number) (i32.const 7)) (local.get $number)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (loop $sum
      (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 31))
        (i32.add (i32.load offset=16384 (local.get $left)) (i32.load offset=20480 (local.get $left)))))
      (br_if $sum (i32.lt_u (local.tee $left (i32.add (local.get $left) (i32.const 4))) (i32.const 512))))
    (call $print (i32.add (local.get $number)
      (i32.wrap_i64 (i64.add (i64.atomic.load (i32.const 280)) (i64.atomic.load (i32.const 288))))))))
