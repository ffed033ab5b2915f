;; What all modules of mutator.rs begin with: types of objects, roots, and functions that look into objects of any type.

(rec
  (type $thing (sub (struct (field $id i32))))
  (type $pair (sub $thing (struct (field $id i32) (field $a (mut anyref)) (field $b (mut anyref)))))
  (type $rich (sub final $pair (struct
    (field $id i32) (field $a (mut anyref)) (field $b (mut anyref))
    (field $long (mut i64)) (field $next (mut (ref null $pair))) (field $byte (mut i8)) (field $small (mut i31ref))
    (field $func (mut funcref)) (field $vector (mut v128)) (field $things (mut (ref null $things)))
    (field $outer (mut externref)))))
  (type $anys (array (mut anyref)))
  (type $things (array (mut (ref null $pair)))))
(type $bytes (array (mut i8)))
(type $shorts (array (mut i16)))
(type $words (array (mut i32)))
(type $longs (array (mut i64)))
(type $floats (array (mut f32)))
(type $doubles (array (mut f64)))
(type $vectors (array (mut v128)))
(type $smalls (array (mut i31ref)))
(type $funcs (array (mut funcref)))

(tag $one (param anyref))
(tag $two (param i32 anyref (ref null $pair)))

(table $t 24 anyref)
(table $p 8 (ref null $pair))
(global $g0 (mut anyref) (ref.null any))
(global $g1 (mut anyref) (struct.new $pair (i32.const 1) (ref.null any) (ref.i31 (i32.const 2))))
(global $g2 (mut (ref null $anys)) (ref.null $anys))
(global $g3 (mut (ref null $pair)) (ref.null $pair))
(global $random (mut i32) (i32.const 1))
;; Functions that may still be entered, turns of loops, and objects that may still be looked at.
(global $left (mut i32) (i32.const 0))
(global $scale (mut i32) (i32.const 0))
(global $look (mut i32) (i32.const 0))

(data $d "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789")
(elem $e anyref
  (item (ref.i31 (i32.const 5)))
  (item (struct.new $pair (i32.const 3) (ref.i31 (i32.const 4)) (array.new_fixed $bytes 2 (i32.const 1) (i32.const 2))))
  (item (ref.null any))
  (item (array.new_default $anys (i32.const 3))))
(elem $f funcref (ref.func $number) (ref.null func) (ref.func $digest))

(func $number (result i32)
  (global.set $random (i32.xor (global.get $random) (i32.shl (global.get $random) (i32.const 13))))
  (global.set $random (i32.xor (global.get $random) (i32.shr_u (global.get $random) (i32.const 17))))
  (global.set $random (i32.xor (global.get $random) (i32.shl (global.get $random) (i32.const 5))))
  (global.get $random))

(func $below (param $limit i32) (result i32) (i32.rem_u (call $number) (local.get $limit)))

(func $pair_of (param $any anyref) (result (ref null $pair))
  (block $no (result anyref)
    (return (br_on_cast_fail $no anyref (ref $pair) (local.get $any))))
  (drop) (ref.null $pair))

(func $anys_of (param $any anyref) (result (ref null $anys))
  (block $no (result anyref)
    (return (br_on_cast_fail $no anyref (ref $anys) (local.get $any))))
  (drop) (ref.null $anys))

;; One of the references of an object, or the object.
(func $child (param $any anyref) (param $n i32) (result anyref) (local $pair (ref null $pair)) (local $anys (ref null $anys))
  (local.set $pair (call $pair_of (local.get $any)))
  (if (i32.eqz (ref.is_null (local.get $pair)))
    (then (return (select (result anyref) (struct.get $pair $a (local.get $pair)) (struct.get $pair $b (local.get $pair))
      (i32.and (local.get $n) (i32.const 1))))))
  (local.set $anys (call $anys_of (local.get $any)))
  (if (i32.eqz (ref.is_null (local.get $anys)))
    (then (if (array.len (local.get $anys))
      (then (return (array.get $anys (local.get $anys) (i32.rem_u (local.get $n) (array.len (local.get $anys)))))))))
  (local.get $any))

;; Stores a reference into an object, if it has any.
(func $put (param $any anyref) (param $n i32) (param $value anyref) (local $pair (ref null $pair)) (local $anys (ref null $anys))
  (local.set $pair (call $pair_of (local.get $any)))
  (if (i32.eqz (ref.is_null (local.get $pair)))
    (then (if (i32.and (local.get $n) (i32.const 1))
      (then (struct.set $pair $a (local.get $pair) (local.get $value)))
      (else (struct.set $pair $b (local.get $pair) (local.get $value))))
      (return)))
  (local.set $anys (call $anys_of (local.get $any)))
  (if (i32.eqz (ref.is_null (local.get $anys)))
    (then (if (array.len (local.get $anys))
      (then (array.set $anys (local.get $anys) (i32.rem_u (local.get $n) (array.len (local.get $anys))) (local.get $value)))))))

(func $mix (param $a i64) (param $b i64) (result i64)
  (i64.mul (i64.xor (i64.rotl (local.get $a) (i64.const 23)) (local.get $b)) (i64.const 0x9e3779b97f4a7c15)))

(func $roots (result i64) (local $sum i64) (local $i i32)
  (global.set $look (i32.const 3000))
  (local.set $sum (call $mix (call $digest (global.get $g0) (i32.const 60)) (call $digest (global.get $g1) (i32.const 60))))
  (local.set $sum (call $mix (local.get $sum) (call $digest (global.get $g2) (i32.const 60))))
  (local.set $sum (call $mix (local.get $sum) (call $digest (global.get $g3) (i32.const 60))))
  (loop $more
    (local.set $sum (call $mix (local.get $sum) (call $digest (table.get $t (local.get $i)) (i32.const 60))))
    (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 24))))
  (local.set $i (i32.const 0))
  (loop $more
    (local.set $sum (call $mix (local.get $sum) (call $digest (table.get $p (local.get $i)) (i32.const 60))))
    (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
  (local.get $sum))
