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

  ;; An interpreter of a small Scheme. The reader makes lists of the text below; `analyse` makes of each form a tree of nodes, each of
  ;; which holds the function that runs it (Feeley and Lapalme, "Using Closures for Code Generation", 1987); variables are places in
  ;; frames by then. A value is an i31 (a number), null (the empty list), a $boolean, a $pair, a $symbol, a $procedure or a vector, which
  ;; is an array of values. Calls in tail position are tail calls. What the program may not do is a trap.

  (data $source
    "(primitives + - * modulo = < cons car cdr null? make-vector vector-ref vector-set! print)"
    "(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))"

    "(define (random seed) (modulo (+ (* seed 1103) 12345) 65536))"
    "(define (numbers n seed) (if (= n 0) () (cons seed (numbers (- n 1) (random seed)))))"
    "(define (fold f start list) (if (null? list) start (fold f (f (car list) start) (cdr list))))"
    "(define (halve list left right) (if (null? list) (cons left right) (halve (cdr list) (cons (car list) right) left)))"
    "(define (merge less a b) (if (null? a) b (if (null? b) a (if (less (car b) (car a))"
    "  (cons (car b) (merge less a (cdr b))) (cons (car a) (merge less (cdr a) b))))))"
    "(define (sort-halves less both) (merge less (sort less (car both)) (sort less (cdr both))))"
    "(define (sort less list) (if (null? list) () (if (null? (cdr list)) list (sort-halves less (halve list () ())))))"
    "(define (descending a b) (< b a))"
    "(define (weigh list) (fold (lambda (item sum) (modulo (+ item (* 3 sum)) 1000003)) 0 list))"

    "(define (safe queen distance placed) (if (null? placed) #t (if (= (car placed) queen) #f"
    "  (if (= (car placed) (+ queen distance)) #f (if (= (car placed) (- queen distance)) #f"
    "    (safe queen (+ distance 1) (cdr placed)))))))"
    "(define (place size queen left placed) (if (= left 0) 1 (if (= queen size) 0"
    "  (+ (if (safe queen 1 placed) (place size 0 (- left 1) (cons queen placed)) 0) (place size (+ queen 1) left placed)))))"
    "(define (queens size) (place size 0 size ()))"

    "(define (last a b) b)"
    "(define (strike sieve number step end) (if (< number end)"
    "  (last (vector-set! sieve number #f) (strike sieve (+ number step) step end)) sieve))"
    "(define (count sieve number end found) (if (= number end) found (if (vector-ref sieve number)"
    "  (count (strike sieve (* number number) number end) (+ number 1) end (+ found 1)) (count sieve (+ number 1) end found))))"
    "(define (primes end) (count (make-vector end #t) 2 end 0))"

    "(define (compose f g) (lambda (x) (f (g x))))"
    "(define (power f n) (if (= n 0) (lambda (x) x) (compose f (power f (- n 1)))))"

    "(define (round n) (+ (+ (fib 12) (weigh (sort < (numbers 200 n)))) (+ (queens 5) (+ (primes 400) ((power random 50) n)))))"
    "(define (rounds n sum) (if (= n 0) sum (rounds (- n 1) (modulo (+ sum (round n)) 1000003))))"
    "(print (fib 15)) (print (sort < (numbers 6 1))) (print (sort descending (numbers 6 1)))"
    "(print (queens 6)) (print (primes 100)) (print ((power random 6) 1)) (print (rounds argument 0))")

  (type $bytes (array (mut i8)))
  (type $values (array (mut eqref)))
  (type $pair (struct (field $head eqref) (field $tail eqref)))
  (type $boolean (struct (field $is_true i32)))
  ;; All symbols are in one list, so that those with one name are one object. The value is that of the global variable.
  (rec (type $symbol (struct (field $name (ref $bytes)) (field $value (mut eqref)) (field $next (ref null $symbol)))))

  ;; The variables of a call, and those of the function around the one that is called.
  (rec (type $frame (struct (field $slots (ref $values)) (field $outer (ref null $frame)))))
  ;; Their names, while a function is analysed: a list of symbols.
  (rec (type $scope (struct (field $names eqref) (field $outer (ref null $scope)))))

  (rec
    (type $code (func (param (ref $node) (ref null $frame)) (result eqref)))
    (type $node (sub (struct (field $code (ref $code)))))
    (type $constant (sub final $node (struct (field $code (ref $code)) (field $value eqref))))
    (type $local (sub final $node (struct (field $code (ref $code)) (field $depth i32) (field $index i32))))
    (type $global (sub final $node (struct (field $code (ref $code)) (field $symbol (ref $symbol)))))
    (type $define (sub final $node (struct (field $code (ref $code)) (field $symbol (ref $symbol)) (field $node (ref $node)))))
    (type $if (sub final $node (struct
      (field $code (ref $code)) (field $condition (ref $node)) (field $then (ref $node)) (field $else (ref $node)))))
    (type $lambda (sub final $node (struct (field $code (ref $code)) (field $parameters i32) (field $body (ref $node)))))
    (type $apply (sub final $node (struct (field $code (ref $code)) (field $function (ref $node)) (field $operands (ref $nodes)))))
    (type $nodes (array (mut (ref null $node)))))

  (rec
    (type $operation (func (param (ref $values)) (result eqref)))
    (type $procedure (sub (struct)))
    (type $primitive (sub final $procedure (struct (field $operation (ref $operation)))))
    (type $closure (sub final $procedure (struct (field $lambda (ref $lambda)) (field $frame (ref null $frame))))))
  (type $operations (array (ref $operation)))

  (global $text (mut (ref null $bytes)) (ref.null $bytes))
  (global $at (mut i32) (i32.const 0))
  (global $symbols (mut (ref null $symbol)) (ref.null $symbol))
  (global $true (ref $boolean) (struct.new $boolean (i32.const 1)))
  (global $false (ref $boolean) (struct.new $boolean (i32.const 0)))
  (global $if (mut eqref) (ref.null eq))
  (global $lambda (mut eqref) (ref.null eq))
  (global $define (mut eqref) (ref.null eq))

  ;; ---- what values are made of

  (func $head (param $list eqref) (result eqref) (struct.get $pair $head (ref.cast (ref $pair) (local.get $list))))
  (func $tail (param $list eqref) (result eqref) (struct.get $pair $tail (ref.cast (ref $pair) (local.get $list))))
  (func $second (param $list eqref) (result eqref) (call $head (call $tail (local.get $list))))
  (func $symbol (param $value eqref) (result (ref $symbol)) (ref.cast (ref $symbol) (local.get $value)))
  (func $number (param $value eqref) (result i32) (i31.get_s (ref.cast (ref i31) (local.get $value))))
  (func $boolean (param $is_true i32) (result eqref)
    (select (result (ref $boolean)) (global.get $true) (global.get $false) (local.get $is_true)))

  (func $length (param $list eqref) (result i32)
    (local $length i32)
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $list)))
        (local.set $list (call $tail (local.get $list)))
        (local.set $length (i32.add (local.get $length) (i32.const 1)))
        (br $next)))
    (local.get $length))

  (func $same (param $a (ref $bytes)) (param $b (ref $bytes)) (result i32)
    (local $at i32)
    (local.set $at (array.len (local.get $a)))
    (if (i32.ne (local.get $at) (array.len (local.get $b))) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eqz (local.get $at)) (then (return (i32.const 1))))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $next (i32.eq
        (array.get_u $bytes (local.get $a) (local.get $at))
        (array.get_u $bytes (local.get $b) (local.get $at)))))
    (i32.const 0))

  (func $intern (param $name (ref $bytes)) (result (ref $symbol))
    (local $symbol (ref null $symbol))
    (local.set $symbol (global.get $symbols))
    (block $none
      (loop $next
        (br_on_null $none (local.get $symbol))
        (if (call $same (struct.get $symbol $name) (local.get $name))
          (then (return (ref.as_non_null (local.get $symbol)))))
        (local.set $symbol (struct.get $symbol $next (local.get $symbol)))
        (br $next)))
    (global.set $symbols
      (local.tee $symbol (struct.new $symbol (local.get $name) (ref.null eq) (global.get $symbols))))
    (ref.as_non_null (local.get $symbol)))

  ;; ---- from text to lists

  ;; The next byte; a space at the end.
  (func $peek (result i32)
    (if (i32.ge_u (global.get $at) (array.len (global.get $text))) (then (return (i32.const 32))))
    (array.get_u $bytes (global.get $text) (global.get $at)))
  (func $skip (global.set $at (i32.add (global.get $at) (i32.const 1))))

  ;; Whether there is more than spaces.
  (func $more (result i32)
    (block $found
      (loop $next
        (br_if $found (i32.ne (call $peek) (i32.const 32)))
        (call $skip)
        (br_if $next (i32.lt_u (global.get $at) (array.len (global.get $text)))))
      (return (i32.const 0)))
    (i32.const 1))

  (func $read (result eqref)
    (local $byte i32) (local $start i32) (local $number i32) (local $name (ref $bytes))
    (if (i32.eqz (call $more)) (then (unreachable)))
    (local.set $start (global.get $at))
    (local.set $byte (call $peek))
    (call $skip)
    (if (i32.eq (local.get $byte) (i32.const 40 (; a parenthesis ;))) (then (return_call $read_tail)))
    (if (i32.eq (local.get $byte) (i32.const 35 (; # ;)))
      (then
        (local.set $byte (call $peek))
        (call $skip)
        (return (call $boolean (i32.eq (local.get $byte) (i32.const 116 (; t ;)))))))
    (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 48)) (i32.const 10))
      (then
        (loop $digit
          (local.set $number (i32.add
            (i32.mul (local.get $number) (i32.const 10))
            (i32.sub (local.get $byte) (i32.const 48))))
          (local.set $byte (call $peek))
          (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 48)) (i32.const 10)) (then (call $skip) (br $digit))))
        (return (ref.i31 (local.get $number)))))
    (block $end
      (loop $next
        (local.set $byte (call $peek))
        (br_if $end (i32.le_u (local.get $byte) (i32.const 32)))
        (br_if $end (i32.eq (i32.or (local.get $byte) (i32.const 1)) (i32.const 41)))
        (call $skip)
        (br $next)))
    (local.set $name (array.new_default $bytes (i32.sub (global.get $at) (local.get $start))))
    (array.copy $bytes $bytes
      (local.get $name) (i32.const 0) (global.get $text) (local.get $start) (array.len (local.get $name)))
    (call $intern (local.get $name)))

  ;; What is left of a list, and its closing parenthesis.
  (func $read_tail (result eqref)
    (if (i32.eqz (call $more)) (then (unreachable)))
    (if (i32.eq (call $peek) (i32.const 41)) (then (call $skip) (return (ref.null eq))))
    (struct.new $pair (call $read) (call $read_tail)))

  ;; ---- from lists to nodes

  (func $analyse (param $form eqref) (param $scope (ref null $scope)) (result (ref $node))
    (local $head eqref)
    (block $pair (result (ref $pair))
      (block $symbol (result (ref $symbol))
        (br_on_cast $symbol eqref (ref $symbol) (local.get $form))
        (br_on_cast $pair eqref (ref $pair))
        (return (struct.new $constant (ref.func $run_constant) (local.get $form))))
      (return_call $analyse_variable (local.get $scope)))
    (local.set $head (struct.get $pair $head))
    (if (ref.eq (local.get $head) (global.get $if))
      (then
        (local.set $form (call $tail (local.get $form)))
        (return (struct.new $if (ref.func $run_if)
          (call $analyse (call $head (local.get $form)) (local.get $scope))
          (call $analyse (call $second (local.get $form)) (local.get $scope))
          (call $analyse (call $second (call $tail (local.get $form))) (local.get $scope))))))
    (if (ref.eq (local.get $head) (global.get $lambda))
      (then (return_call $analyse_lambda
        (call $second (local.get $form)) (call $second (call $tail (local.get $form))) (local.get $scope))))
    (if (ref.eq (local.get $head) (global.get $define))
      (then (return_call $analyse_define
        (call $second (local.get $form)) (call $second (call $tail (local.get $form))) (local.get $scope))))
    (struct.new $apply (ref.func $run_apply)
      (call $analyse (local.get $head) (local.get $scope))
      (call $analyse_all (call $tail (local.get $form)) (local.get $scope))))

  (func $analyse_all (param $forms eqref) (param $scope (ref null $scope)) (result (ref $nodes))
    (local $nodes (ref $nodes)) (local $index i32)
    (local.set $nodes (array.new_default $nodes (call $length (local.get $forms))))
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $forms)))
        (array.set $nodes (local.get $nodes) (local.get $index)
          (call $analyse (call $head (local.get $forms)) (local.get $scope)))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (local.set $forms (call $tail (local.get $forms)))
        (br $next)))
    (local.get $nodes))

  (func $analyse_variable (param $symbol (ref $symbol)) (param $scope (ref null $scope)) (result (ref $node))
    (local $depth i32) (local $index i32) (local $names eqref)
    (block $global
      (loop $outer
        (local.set $names (struct.get $scope $names (br_on_null $global (local.get $scope))))
        (local.set $index (i32.const 0))
        (block $not_here
          (loop $next
            (br_if $not_here (ref.is_null (local.get $names)))
            (if (ref.eq (call $head (local.get $names)) (local.get $symbol))
              (then (return (struct.new $local (ref.func $run_local) (local.get $depth) (local.get $index)))))
            (local.set $index (i32.add (local.get $index) (i32.const 1)))
            (local.set $names (call $tail (local.get $names)))
            (br $next)))
        (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
        (local.set $scope (struct.get $scope $outer (local.get $scope)))
        (br $outer)))
    (struct.new $global (ref.func $run_global) (local.get $symbol)))

  (func $analyse_lambda (param $names eqref) (param $body eqref) (param $scope (ref null $scope)) (result (ref $node))
    (struct.new $lambda (ref.func $run_lambda)
      (call $length (local.get $names))
      (call $analyse (local.get $body) (struct.new $scope (local.get $names) (local.get $scope)))))

  ;; `(define name form)` or `(define (name parameters) form)`.
  (func $analyse_define (param $what eqref) (param $form eqref) (param $scope (ref null $scope)) (result (ref $node))
    (local $pair (ref $pair))
    (block $name (result eqref)
      (local.set $pair (br_on_cast_fail $name eqref (ref $pair) (local.get $what)))
      (return (struct.new $define (ref.func $run_define)
        (call $symbol (struct.get $pair $head (local.get $pair)))
        (call $analyse_lambda (struct.get $pair $tail (local.get $pair)) (local.get $form) (local.get $scope)))))
    (local.set $what)
    (struct.new $define (ref.func $run_define)
      (call $symbol (local.get $what))
      (call $analyse (local.get $form) (local.get $scope))))

  ;; ---- the code of nodes

  (func $run (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (return_call_ref $code (local.get $node) (local.get $frame) (struct.get $node $code (local.get $node))))

  (func $run_constant (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (struct.get $constant $value (ref.cast (ref $constant) (local.get $node))))

  (func $run_local (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (local $local (ref $local)) (local $depth i32)
    (local.set $local (ref.cast (ref $local) (local.get $node)))
    (local.set $depth (struct.get $local $depth (local.get $local)))
    (block $here
      (loop $outer
        (br_if $here (i32.eqz (local.get $depth)))
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (local.set $frame (struct.get $frame $outer (local.get $frame)))
        (br $outer)))
    (array.get $values (struct.get $frame $slots (local.get $frame)) (struct.get $local $index (local.get $local))))

  (func $run_global (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (struct.get $symbol $value (struct.get $global $symbol (ref.cast (ref $global) (local.get $node)))))

  (func $run_define (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (local $define (ref $define))
    (local.set $define (ref.cast (ref $define) (local.get $node)))
    (struct.set $symbol $value (struct.get $define $symbol (local.get $define))
      (call $run (struct.get $define $node (local.get $define)) (local.get $frame)))
    (struct.get $define $symbol (local.get $define)))

  (func $run_if (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (local $if (ref $if))
    (local.set $if (ref.cast (ref $if) (local.get $node)))
    (if (ref.eq (call $run (struct.get $if $condition (local.get $if)) (local.get $frame)) (global.get $false))
      (then (return_call $run (struct.get $if $else (local.get $if)) (local.get $frame))))
    (return_call $run (struct.get $if $then (local.get $if)) (local.get $frame)))

  (func $run_lambda (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (struct.new $closure (ref.cast (ref $lambda) (local.get $node)) (local.get $frame)))

  (func $run_apply (type $code) (param $node (ref $node)) (param $frame (ref null $frame)) (result eqref)
    (local $apply (ref $apply)) (local $operands (ref $nodes)) (local $values (ref $values)) (local $index i32)
    (local $closure (ref $closure)) (local $lambda (ref $lambda))
    (local.set $apply (ref.cast (ref $apply) (local.get $node)))
    (local.set $operands (struct.get $apply $operands (local.get $apply)))
    (local.set $values (array.new_default $values (array.len (local.get $operands))))
    (block $all
      (loop $next
        (br_if $all (i32.eq (local.get $index) (array.len (local.get $operands))))
        (array.set $values (local.get $values) (local.get $index)
          (call $run
            (ref.as_non_null (array.get $nodes (local.get $operands) (local.get $index)))
            (local.get $frame)))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next)))
    (block $closure (result (ref $closure))
      (block $primitive (result (ref $primitive))
        (call $run (struct.get $apply $function (local.get $apply)) (local.get $frame))
        (br_on_cast $closure eqref (ref $closure))
        (br_on_cast $primitive eqref (ref $primitive))
        (unreachable))
      (return_call $operate (local.get $values)))
    (local.set $lambda (struct.get $closure $lambda (local.tee $closure)))
    (if (i32.ne (struct.get $lambda $parameters (local.get $lambda)) (local.get $index)) (then (unreachable)))
    (return_call $run (struct.get $lambda $body (local.get $lambda))
      (struct.new $frame (local.get $values) (struct.get $closure $frame (local.get $closure)))))

  (func $operate (param $primitive (ref $primitive)) (param $operands (ref $values)) (result eqref)
    (return_call_ref $operation (local.get $operands) (struct.get $primitive $operation (local.get $primitive))))

  ;; ---- primitives

  (func $first_of (param $values (ref $values)) (result eqref) (array.get $values (local.get $values) (i32.const 0)))
  (func $second_of (param $values (ref $values)) (result eqref) (array.get $values (local.get $values) (i32.const 1)))
  (func $first_number (param $values (ref $values)) (result i32) (call $number (call $first_of (local.get $values))))
  (func $second_number (param $values (ref $values)) (result i32) (call $number (call $second_of (local.get $values))))
  (func $vector_of (param $values (ref $values)) (result (ref $values))
    (ref.cast (ref $values) (call $first_of (local.get $values))))

  (func $add (type $operation) (param $of (ref $values)) (result eqref)
    (ref.i31 (i32.add (call $first_number (local.get $of)) (call $second_number (local.get $of)))))
  (func $subtract (type $operation) (param $of (ref $values)) (result eqref)
    (ref.i31 (i32.sub (call $first_number (local.get $of)) (call $second_number (local.get $of)))))
  (func $multiply (type $operation) (param $of (ref $values)) (result eqref)
    (ref.i31 (i32.mul (call $first_number (local.get $of)) (call $second_number (local.get $of)))))
  (func $modulo (type $operation) (param $of (ref $values)) (result eqref)
    (ref.i31 (i32.rem_s (call $first_number (local.get $of)) (call $second_number (local.get $of)))))
  (func $equal (type $operation) (param $of (ref $values)) (result eqref)
    (call $boolean (i32.eq (call $first_number (local.get $of)) (call $second_number (local.get $of)))))
  (func $less (type $operation) (param $of (ref $values)) (result eqref)
    (call $boolean (i32.lt_s (call $first_number (local.get $of)) (call $second_number (local.get $of)))))
  (func $cons (type $operation) (param $of (ref $values)) (result eqref)
    (struct.new $pair (call $first_of (local.get $of)) (call $second_of (local.get $of))))
  (func $car (type $operation) (param $of (ref $values)) (result eqref) (call $head (call $first_of (local.get $of))))
  (func $cdr (type $operation) (param $of (ref $values)) (result eqref) (call $tail (call $first_of (local.get $of))))
  (func $is_null (type $operation) (param $of (ref $values)) (result eqref)
    (call $boolean (ref.is_null (call $first_of (local.get $of)))))
  (func $make_vector (type $operation) (param $of (ref $values)) (result eqref)
    (array.new $values (call $second_of (local.get $of)) (call $first_number (local.get $of))))
  (func $vector_ref (type $operation) (param $of (ref $values)) (result eqref)
    (array.get $values (call $vector_of (local.get $of)) (call $second_number (local.get $of))))
  (func $vector_set (type $operation) (param $of (ref $values)) (result eqref)
    (array.set $values (call $vector_of (local.get $of)) (call $second_number (local.get $of))
      (array.get $values (local.get $of) (i32.const 2)))
    (call $vector_of (local.get $of)))
  ;; A number, or all that are in a list.
  (func $print_value (type $operation) (param $of (ref $values)) (result eqref)
    (local $value eqref)
    (local.set $value (call $first_of (local.get $of)))
    (if (ref.test (ref i31) (local.get $value))
      (then (call $print (call $number (local.get $value))) (return (ref.null eq))))
    (loop $next
      (call $print (call $number (call $head (local.get $value))))
      (br_if $next (i32.eqz (ref.is_null (local.tee $value (call $tail (local.get $value)))))))
    (ref.null eq))

  (elem $primitives (ref $operation)
    (ref.func $add) (ref.func $subtract) (ref.func $multiply) (ref.func $modulo) (ref.func $equal) (ref.func $less)
    (ref.func $cons) (ref.func $car) (ref.func $cdr) (ref.func $is_null)
    (ref.func $make_vector) (ref.func $vector_ref) (ref.func $vector_set) (ref.func $print_value))
  (elem declare func
    $run_constant $run_local $run_global $run_define $run_if $run_lambda $run_apply)

  ;; Gives the primitives the names in the source's first list, after its first word.
  (func $name_primitives (param $names eqref)
    (local $operations (ref $operations)) (local $index i32)
    (local.set $operations (array.new_elem $operations $primitives (i32.const 0) (i32.const 14)))
    (loop $next
      (local.set $names (call $tail (local.get $names)))
      (struct.set $symbol $value (call $symbol (call $head (local.get $names)))
        (struct.new $primitive (array.get $operations (local.get $operations) (local.get $index))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $index) (array.len (local.get $operations))))))

  (func $word (param $text (ref $bytes)) (result (ref $symbol))
    (global.set $text (local.get $text))
    (global.set $at (i32.const 0))
    (call $symbol (call $read)))

  (func (export "_start")
    (global.set $if (call $word (array.new_fixed $bytes 2 (i32.const 105 (; i ;)) (i32.const 102 (; f ;)))))
    (global.set $lambda (call $word (array.new_data $bytes $words (i32.const 0) (i32.const 6))))
    (global.set $define (call $word (array.new_data $bytes $words (i32.const 6) (i32.const 6))))
    (struct.set $symbol $value
      (call $word (array.new_data $bytes $words (i32.const 12) (i32.const 8)))
      (ref.i31 (call $argument)))
    (global.set $text (array.new_data $bytes $source (i32.const 0) (i32.const 2421)))
    (global.set $at (i32.const 0))
    (call $name_primitives (call $read))
    (loop $next
      (drop (call $run (call $analyse (call $read) (ref.null $scope)) (ref.null $frame)))
      (br_if $next (call $more))))

  (data $words "lambdadefineargument")
)
