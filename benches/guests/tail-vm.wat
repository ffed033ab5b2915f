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

  ;; An interpreter for a machine with four registers, whose handlers call each other in place of themselves: what the machine's
  ;; state is are their parameters, and each looks the next one up. The machine goes through a table of numbers, again and
  ;; again, and changes each by a few steps of a hash.
  (type $handler (func (param i32 i64 i64 i32 i32) (result i64)))
  (table funcref (elem $halt $load $store $mul $xor_shift $add_index $skip_if_odd $swap $next $again))

  ;; The program: the numbers of handlers.
  (data (i32.const 256) "\01\03\04\05\06\07\03\04\02\08\09\00")

  (func $halt (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64) (i64.add (local.get $a) (local.get $b)))

  (func $load (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (return_call_indirect (type $handler)
      (i32.add (local.get $pc) (i32.const 1))
      (i64.xor (local.get $a) (i64.load offset=65536 (i32.shl (local.get $i) (i32.const 3))))
      (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u offset=1 (local.get $pc))))

  (func $store (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (i64.store offset=65536 (i32.shl (local.get $i) (i32.const 3)) (local.get $a))
    (return_call_indirect (type $handler)
      (i32.add (local.get $pc) (i32.const 1)) (local.get $a) (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u offset=1 (local.get $pc))))

  (func $mul (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (return_call_indirect (type $handler)
      (i32.add (local.get $pc) (i32.const 1))
      (i64.mul (local.get $a) (i64.const 0x9E3779B97F4A7C15))
      (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u offset=1 (local.get $pc))))

  (func $xor_shift (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (return_call_indirect (type $handler)
      (i32.add (local.get $pc) (i32.const 1))
      (i64.xor (local.get $a) (i64.shr_u (local.get $a) (i64.const 29)))
      (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u offset=1 (local.get $pc))))

  (func $add_index (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (return_call_indirect (type $handler)
      (i32.add (local.get $pc) (i32.const 1))
      (i64.add (local.get $a) (i64.extend_i32_u (local.get $i)))
      (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u offset=1 (local.get $pc))))

  ;; Skips the instruction behind it.
  (func $skip_if_odd (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (local.set $pc (i32.add (local.get $pc) (i32.add (i32.const 1) (i32.and (i32.wrap_i64 (local.get $a)) (i32.const 1)))))
    (return_call_indirect (type $handler)
      (local.get $pc) (local.get $a) (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u (local.get $pc))))

  (func $swap (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (return_call_indirect (type $handler)
      (i32.add (local.get $pc) (i32.const 1)) (local.get $b) (local.get $a) (local.get $i) (local.get $left)
      (i32.load8_u offset=1 (local.get $pc))))

  ;; Goes on with the next number, and from the last to the instruction behind.
  (func $next (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (local.set $i (i32.and (i32.add (local.get $i) (i32.const 1)) (i32.const 1023)))
    (local.set $pc (select (i32.const 256) (i32.add (local.get $pc) (i32.const 1)) (local.get $i)))
    (return_call_indirect (type $handler)
      (local.get $pc) (local.get $a) (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u (local.get $pc))))

  (func $again (param $pc i32) (param $a i64) (param $b i64) (param $i i32) (param $left i32) (result i64)
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (local.set $pc (select (i32.const 256) (i32.add (local.get $pc) (i32.const 1)) (local.get $left)))
    (return_call_indirect (type $handler)
      (local.get $pc) (local.get $a) (local.get $b) (local.get $i) (local.get $left)
      (i32.load8_u (local.get $pc))))

  (func (export "_start")
    (drop (memory.grow (i32.const 1)))
    (call $print (i32.wrap_i64 (i64.shr_u
      (call $load (i32.const 256) (i64.const 1) (i64.const 2) (i32.const 0) (i32.mul (call $argument) (i32.const 100)))
      (i64.const 32))))))
