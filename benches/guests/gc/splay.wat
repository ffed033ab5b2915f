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

  ;; A tree of keys, whose root is the key that was looked for last: Sleator and Tarjan, "Self-Adjusting Binary Search
  ;; Trees", 1985. Each key has a payload of some size.
  (type $numbers (array (mut i32)))
  (type $payload (sub (struct)))
  (type $pair (sub final $payload (struct (field (ref $payload)) (field (ref $payload)))))
  (type $leaf (sub final $payload (struct (field (ref $numbers)) (field i32))))
  (rec (type $node (struct
    (field $key i32) (field $value (ref $payload))
    (field $left (mut (ref null $node))) (field $right (mut (ref null $node))))))

  (global $root (mut (ref null $node)) (ref.null $node))
  (global $seed (mut i32) (i32.const 49734321))

  (func $random (result i32)
    ;; Xorshift: Marsaglia, 2003.
    (global.set $seed (i32.xor (global.get $seed) (i32.shl (global.get $seed) (i32.const 13))))
    (global.set $seed (i32.xor (global.get $seed) (i32.shr_u (global.get $seed) (i32.const 17))))
    (global.set $seed (i32.xor (global.get $seed) (i32.shl (global.get $seed) (i32.const 5))))
    (global.get $seed))

  (func $payload (param $depth i32) (param $tag i32) (result (ref $payload))
    (if (result (ref $payload)) (local.get $depth)
      (then
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (struct.new $pair
          (call $payload (local.get $depth) (local.get $tag))
          (call $payload (local.get $depth) (local.get $tag))))
      (else
        (struct.new $leaf (array.new $numbers (local.get $tag) (i32.const 10)) (local.get $tag)))))

  ;; What is in a payload, by a cast at each of its nodes.
  (func $sum (param $payload (ref $payload)) (result i32)
    (local $pair (ref null $pair)) (local $leaf (ref null $leaf))
    (block $is_leaf (result (ref $payload))
      (local.set $pair (br_on_cast_fail $is_leaf (ref $payload) (ref $pair) (local.get $payload)))
      (return (i32.add
        (call $sum (struct.get $pair 0 (local.get $pair)))
        (call $sum (struct.get $pair 1 (local.get $pair))))))
    (local.set $leaf (ref.cast (ref $leaf)))
    (i32.add (struct.get $leaf 1 (local.get $leaf))
      (array.get $numbers (struct.get $leaf 0 (local.get $leaf)) (i32.const 9))))

  ;; Moves the node with a key to the root, or the last one on the way to where it would be.
  (func $splay (param $key i32)
    (local $top (ref $node)) (local $left (ref $node)) (local $right (ref $node)) (local $at (ref null $node))
    (local $next (ref null $node))
    (local.set $top (struct.new $node (i32.const 0) (call $payload (i32.const 0) (i32.const 0)) (ref.null $node) (ref.null $node)))
    (local.set $left (local.get $top))
    (local.set $right (local.get $top))
    (local.set $at (global.get $root))
    (block $done
      (loop $down
        (br_if $done (i32.eq (local.get $key) (struct.get $node $key (local.get $at))))
        (if (i32.lt_u (local.get $key) (struct.get $node $key (local.get $at)))
          (then
            (br_if $done (ref.is_null (struct.get $node $left (local.get $at))))
            (if (i32.lt_u (local.get $key) (struct.get $node $key (struct.get $node $left (local.get $at))))
              (then
                (local.set $next (struct.get $node $left (local.get $at)))
                (struct.set $node $left (local.get $at) (struct.get $node $right (local.get $next)))
                (struct.set $node $right (local.get $next) (local.get $at))
                (local.set $at (local.get $next))
                (br_if $done (ref.is_null (struct.get $node $left (local.get $at))))))
            (struct.set $node $left (local.get $right) (local.get $at))
            (local.set $right (ref.as_non_null (local.get $at)))
            (local.set $at (struct.get $node $left (local.get $at))))
          (else
            (br_if $done (ref.is_null (struct.get $node $right (local.get $at))))
            (if (i32.gt_u (local.get $key) (struct.get $node $key (struct.get $node $right (local.get $at))))
              (then
                (local.set $next (struct.get $node $right (local.get $at)))
                (struct.set $node $right (local.get $at) (struct.get $node $left (local.get $next)))
                (struct.set $node $left (local.get $next) (local.get $at))
                (local.set $at (local.get $next))
                (br_if $done (ref.is_null (struct.get $node $right (local.get $at))))))
            (struct.set $node $right (local.get $left) (local.get $at))
            (local.set $left (ref.as_non_null (local.get $at)))
            (local.set $at (struct.get $node $right (local.get $at)))))
        (br $down)))
    (struct.set $node $right (local.get $left) (struct.get $node $left (local.get $at)))
    (struct.set $node $left (local.get $right) (struct.get $node $right (local.get $at)))
    (struct.set $node $left (local.get $at) (struct.get $node $right (local.get $top)))
    (struct.set $node $right (local.get $at) (struct.get $node $left (local.get $top)))
    (global.set $root (local.get $at)))

  ;; Whether the key is new.
  (func $insert (param $key i32) (result i32)
    (local $node (ref $node))
    (if (ref.is_null (global.get $root))
      (then
        (global.set $root (struct.new $node
          (local.get $key) (call $payload (i32.const 5) (local.get $key)) (ref.null $node) (ref.null $node)))
        (return (i32.const 1))))
    (call $splay (local.get $key))
    (if (i32.eq (local.get $key) (struct.get $node $key (global.get $root))) (then (return (i32.const 0))))
    (local.set $node (struct.new $node
      (local.get $key) (call $payload (i32.const 5) (local.get $key)) (ref.null $node) (ref.null $node)))
    (if (i32.gt_u (local.get $key) (struct.get $node $key (global.get $root)))
      (then
        (struct.set $node $left (local.get $node) (global.get $root))
        (struct.set $node $right (local.get $node) (struct.get $node $right (global.get $root)))
        (struct.set $node $right (global.get $root) (ref.null $node)))
      (else
        (struct.set $node $right (local.get $node) (global.get $root))
        (struct.set $node $left (local.get $node) (struct.get $node $left (global.get $root)))
        (struct.set $node $left (global.get $root) (ref.null $node))))
    (global.set $root (local.get $node))
    (i32.const 1))

  ;; Removes the greatest key that is not above a limit, or the least. Returns the sum of its payload.
  (func $remove_below (param $limit i32) (result i32)
    (local $left (ref null $node)) (local $right (ref null $node)) (local $gone (ref null $node))
    (call $splay (local.get $limit))
    (local.set $gone (global.get $root))
    (local.set $left (struct.get $node $left (global.get $root)))
    (local.set $right (struct.get $node $right (global.get $root)))
    (if (ref.is_null (local.get $left))
      (then (global.set $root (local.get $right)))
      (else
        (global.set $root (local.get $left))
        (call $splay (struct.get $node $key (local.get $gone)))
        (struct.set $node $right (global.get $root) (local.get $right))))
    (call $sum (struct.get $node $value (local.get $gone))))

  (func (export "_start")
    (local $rounds i32) (local $new i32) (local $sum i32)
    (local.set $rounds (i32.mul (call $argument) (i32.const 1000)))
    (local.set $new (i32.const 8000))
    (loop $fill
      (br_if $fill (local.tee $new (i32.sub (local.get $new) (call $insert (call $random))))))
    (loop $again
      (loop $insert (br_if $insert (i32.eqz (call $insert (call $random)))))
      (local.set $sum (i32.add (local.get $sum) (call $remove_below (call $random))))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (call $print (local.get $sum)))
)
