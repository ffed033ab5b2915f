//! Modules for the tests of the compiler: between them every instruction that the engine executes.

use wasmrun_runtime::features::{Features, proposal};
use wasmrun_runtime::module::Module;

/// What is compiled.
fn features() -> Features {
    Features::executed().with(proposal("legacy-exceptions").unwrap(), true)
}

/// The module of some text.
pub fn parse(text: &str) -> Module {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    wasmrun_runtime::parse(bytes, features(), &Default::default()).unwrap()
}

/// The module of some bytes, if the engine loads it.
#[allow(dead_code, reason = "one of the tests reads scripts")]
pub fn try_parse(bytes: Vec<u8>) -> Option<Module> {
    wasmrun_runtime::parse(bytes, features(), &Default::default()).ok()
}

const INTEGERS: (&str, &str) = (
    "integers",
    r#"(module
  (func (param i32 i32) (result i32)
    (i32.clz (local.get 0)) (i32.ctz (local.get 1)) i32.add
    (i32.popcnt (local.get 0)) i32.sub
    (i32.mul (local.get 0) (local.get 1)) i32.xor
    (i32.div_s (local.get 0) (local.get 1)) i32.or
    (i32.div_u (local.get 0) (local.get 1)) i32.and
    (i32.rem_s (local.get 0) (local.get 1)) i32.shl
    (i32.rem_u (local.get 0) (local.get 1)) i32.shr_s
    (i32.const -7) i32.shr_u (i32.const 0x80000000) i32.rotl (local.get 1) i32.rotr
    i32.extend8_s i32.extend16_s i32.eqz
    (i32.eq (local.get 0) (local.get 1)) i32.add (i32.ne (local.get 0) (local.get 1)) i32.add
    (i32.lt_s (local.get 0) (local.get 1)) i32.add (i32.lt_u (local.get 0) (local.get 1)) i32.add
    (i32.gt_s (local.get 0) (local.get 1)) i32.add (i32.gt_u (local.get 0) (local.get 1)) i32.add
    (i32.le_s (local.get 0) (local.get 1)) i32.add (i32.le_u (local.get 0) (local.get 1)) i32.add
    (i32.ge_s (local.get 0) (local.get 1)) i32.add (i32.ge_u (local.get 0) (local.get 1)) i32.add)
  (func (param i64 i64) (result i64 i32)
    (i64.clz (local.get 0)) (i64.ctz (local.get 1)) i64.add
    (i64.popcnt (local.get 0)) i64.sub
    (i64.mul (local.get 0) (local.get 1)) i64.xor
    (i64.div_s (local.get 0) (local.get 1)) i64.or
    (i64.div_u (local.get 0) (local.get 1)) i64.and
    (i64.rem_s (local.get 0) (local.get 1)) i64.shl
    (i64.rem_u (local.get 0) (local.get 1)) i64.shr_s
    (i64.const -7) i64.shr_u (i64.const 0x8000000000000000) i64.rotl (local.get 1) i64.rotr
    i64.extend8_s i64.extend16_s i64.extend32_s
    (i64.eqz (local.get 0))
    (i64.eq (local.get 0) (local.get 1)) i32.add (i64.ne (local.get 0) (local.get 1)) i32.add
    (i64.lt_s (local.get 0) (local.get 1)) i32.add (i64.lt_u (local.get 0) (local.get 1)) i32.add
    (i64.gt_s (local.get 0) (local.get 1)) i32.add (i64.gt_u (local.get 0) (local.get 1)) i32.add
    (i64.le_s (local.get 0) (local.get 1)) i32.add (i64.le_u (local.get 0) (local.get 1)) i32.add
    (i64.ge_s (local.get 0) (local.get 1)) i32.add (i64.ge_u (local.get 0) (local.get 1)) i32.add)
  ;; Division of constants must still trap.
  (func (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))
  (func (result i64) (i64.rem_u (i64.const 1) (i64.const 0))))"#,
);

const FLOATS: (&str, &str) = (
    "floats",
    r#"(module
  (func (param f32 f32) (result f32 i32)
    (f32.abs (local.get 0)) f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt
    (local.get 1) f32.add (local.get 1) f32.sub (local.get 1) f32.mul (local.get 1) f32.div
    (local.get 1) f32.min (local.get 1) f32.max (f32.const nan:0x200001) f32.copysign
    (f32.eq (local.get 0) (local.get 1)) (f32.ne (local.get 0) (local.get 1)) i32.add
    (f32.lt (local.get 0) (local.get 1)) i32.add (f32.gt (local.get 0) (local.get 1)) i32.add
    (f32.le (local.get 0) (local.get 1)) i32.add (f32.ge (local.get 0) (local.get 1)) i32.add)
  (func (param f64 f64) (result f64 i32)
    (f64.abs (local.get 0)) f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt
    (local.get 1) f64.add (local.get 1) f64.sub (local.get 1) f64.mul (local.get 1) f64.div
    (local.get 1) f64.min (local.get 1) f64.max (f64.const -nan:0x4000000000001) f64.copysign
    (f64.eq (local.get 0) (local.get 1)) (f64.ne (local.get 0) (local.get 1)) i32.add
    (f64.lt (local.get 0) (local.get 1)) i32.add (f64.gt (local.get 0) (local.get 1)) i32.add
    (f64.le (local.get 0) (local.get 1)) i32.add (f64.ge (local.get 0) (local.get 1)) i32.add))"#,
);

const CONVERSIONS: (&str, &str) = (
    "conversions",
    r#"(module
  (func (param f32 f64) (result i32)
    (i32.trunc_f32_s (local.get 0)) (i32.trunc_f32_u (local.get 0)) i32.add
    (i32.trunc_f64_s (local.get 1)) i32.add (i32.trunc_f64_u (local.get 1)) i32.add
    (i32.trunc_sat_f32_s (local.get 0)) i32.add (i32.trunc_sat_f32_u (local.get 0)) i32.add
    (i32.trunc_sat_f64_s (local.get 1)) i32.add (i32.trunc_sat_f64_u (local.get 1)) i32.add
    (i32.reinterpret_f32 (local.get 0)) i32.add)
  (func (param f32 f64) (result i64)
    (i64.trunc_f32_s (local.get 0)) (i64.trunc_f32_u (local.get 0)) i64.add
    (i64.trunc_f64_s (local.get 1)) i64.add (i64.trunc_f64_u (local.get 1)) i64.add
    (i64.trunc_sat_f32_s (local.get 0)) i64.add (i64.trunc_sat_f32_u (local.get 0)) i64.add
    (i64.trunc_sat_f64_s (local.get 1)) i64.add (i64.trunc_sat_f64_u (local.get 1)) i64.add
    (i64.reinterpret_f64 (local.get 1)) i64.add)
  (func (param i32 i64) (result f32)
    (f32.convert_i32_s (local.get 0)) (f32.convert_i32_u (local.get 0)) f32.add
    (f32.convert_i64_s (local.get 1)) f32.add (f32.convert_i64_u (local.get 1)) f32.add
    (f32.demote_f64 (f64.reinterpret_i64 (local.get 1))) f32.add)
  (func (param i32 i64) (result f64)
    (f64.convert_i32_s (local.get 0)) (f64.convert_i32_u (local.get 0)) f64.add
    (f64.convert_i64_s (local.get 1)) f64.add (f64.convert_i64_u (local.get 1)) f64.add
    (f64.promote_f32 (f32.reinterpret_i32 (local.get 0))) f64.add)
  (func (param i32 i64) (result i64)
    (i64.extend_i32_s (i32.wrap_i64 (local.get 1))) (i64.extend_i32_u (local.get 0)) i64.add))"#,
);

const CONTROL: (&str, &str) = (
    "control",
    r#"(module
  (type $two (func (param i32 i64) (result i64 i32)))
  ;; Parameters and results of every kind of block.
  (func (param i32) (result i64 i32)
    (local.get 0) (i64.const 1)
    (block (type $two) (drop) (i64.extend_i32_u) (i32.const 3))
    (i32.wrap_i64 (i64.const 4)) (i32.add) (local.set 0) (drop)
    (local.get 0) (i64.const 2)
    (loop $again (param i32 i64) (result i64 i32)
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if $again (local.get 0))
      (drop) (i64.extend_i32_s) (local.get 0))
    (drop)
    (if (param i64) (result i64) (local.get 0)
      (then (i64.const 1) (i64.add))
      (else (i64.const 2) (i64.mul)))
    (local.get 0))
  ;; An `if` without `else` hands its parameters on.
  (func (param i32) (result i32)
    (local.get 0)
    (if (param i32) (result i32) (local.get 0) (then (i32.const 5) (i32.add)))
    (if (local.get 0) (then (return (i32.const 7)))))
  ;; Branches out of arms that are not reached, and joins that nothing reaches.
  (func (param i32) (result i32)
    (block $out (result i32)
      (if (local.get 0) (then (br $out (i32.const 1))) (else (br $out (i32.const 2))))
      (block (br 0)) (unreachable)))
  (func (param i32) (result i32)
    (if (result i32) (local.get 0) (then (unreachable)) (else (i32.const 1))))
  (func (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (unreachable))))
  (func (param i32) (result i32)
    (if (local.get 0) (then (unreachable)) (else (return (i32.const 3))))
    (i32.const 4))
  ;; Dead code with blocks, loops, arms and tables of its own.
  (func (param i32) (result i32)
    (return (i32.const 1))
    (block (loop (if (i32.const 0) (then (br 1)) (else (br_table 0 1 2 (i32.const 0))))))
    (drop) (i32.add) (select) (br_if 0))
  (func (param i32)
    (br 0)
    (loop (br 0) (if (i32.const 1) (then) (else)))
    (call 2 (i32.const 1)) (drop))
  (func (result i32) (loop (result i32) (br 0)))
  (func (loop $a (loop $b (br_if $a (i32.const 1)) (br $b))))
  ;; Tables of targets: many, the same one, empty, with values, to the function, to loops.
  (func (param i32) (result i32)
    (block $a (block $b (block $c
      (br_table $a $b $c $a $b $c $a $a $a $b (local.get 0)))
      (return (i32.const 3)))
      (return (i32.const 2)))
    (i32.const 1))
  (func (param i32) (result i32)
    (block $a (result i32) (block $b (result i32)
      (br_table $a $b $a 2 2 $b (i32.const 10) (local.get 0)))
      (i32.const 1) (i32.add)))
  (func (param i32) (result i64)
    (loop $again (param) (result i64)
      (block $out
        (br_table $again $out $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (i64.const 9)))
  (func (param i32) (block (br_table 0 (local.get 0))))
  (func (param i32) (result f32 i64)
    (f32.const 1) (i64.const 2) (br_table 0 0 (local.get 0)))
  (func (param i32) (result f32 i64)
    (f32.const 1) (i64.const 2) (br_if 0 (local.get 0)) (br 0))
  (func (param i32 i32 f64 f64) (result f64 i32)
    (select (local.get 2) (local.get 3) (local.get 0))
    (select (result i32) (local.get 0) (local.get 1) (i32.eqz (local.get 1))))
  (func (param $x i32) (local i32 i64 f32 f64 funcref externref)
    (local.set 1 (local.tee $x (i32.const 1))) (nop)
    (drop (local.get 2)) (drop (local.get 3)) (drop (local.get 4)) (drop (local.get 5)) (drop (local.get 6)))
  (func) (func unreachable))"#,
);

const MEMORY: (&str, &str) = (
    "memory",
    r#"(module
  (memory 1) (memory $other 2 3) (data $bytes "abc")
  (func (param i32) (result i64)
    (i64.extend_i32_u (i32.load (local.get 0)))
    (i64.extend_i32_u (i32.load8_s offset=1 (local.get 0))) i64.add
    (i64.extend_i32_u (i32.load8_u offset=0xffffffff (local.get 0))) i64.add
    (i64.extend_i32_u (i32.load16_s offset=0x1fffffe (local.get 0))) i64.add
    (i64.extend_i32_u (i32.load16_u offset=0x1ffffff (local.get 0))) i64.add
    (i64.load offset=0x2000000 (local.get 0)) i64.add
    (i64.load8_s (local.get 0)) i64.add (i64.load8_u (local.get 0)) i64.add
    (i64.load16_s (local.get 0)) i64.add (i64.load16_u (local.get 0)) i64.add
    (i64.load32_s (local.get 0)) i64.add (i64.load32_u align=1 (local.get 0)) i64.add
    (i64.load $other (i32.const -1)) i64.add)
  (func (param i32) (result f32 f64)
    (f32.load offset=4 (local.get 0)) (f64.load $other offset=8 (local.get 0)))
  (func (param i32 i64 f32 f64)
    (i32.store (local.get 0) (local.get 0)) (i32.store8 (local.get 0) (local.get 0))
    (i32.store16 offset=0x80000000 (local.get 0) (local.get 0))
    (i64.store (local.get 0) (local.get 1)) (i64.store8 (local.get 0) (local.get 1))
    (i64.store16 (local.get 0) (local.get 1)) (i64.store32 offset=9 (local.get 0) (local.get 1))
    (f32.store (local.get 0) (local.get 2)) (f64.store $other (local.get 0) (local.get 3)))
  (func (param i32) (result i32)
    (memory.fill (local.get 0) (i32.const 1) (i32.const 2))
    (memory.fill $other (local.get 0) (i32.const 1) (i32.const 2))
    (memory.copy (local.get 0) (i32.const 1) (i32.const 2))
    (memory.copy 0 $other (local.get 0) (i32.const 1) (i32.const 2))
    (memory.init $bytes (local.get 0) (i32.const 1) (i32.const 2))
    (memory.init $other $bytes (local.get 0) (i32.const 1) (i32.const 2))
    (data.drop $bytes)
    (memory.grow (i32.const 1)) (memory.grow $other (local.get 0)) i32.add
    memory.size i32.add (memory.size $other) i32.add))"#,
);

const TABLES: (&str, &str) = (
    "tables and references",
    r#"(module
  (import "m" "t" (table $imported 1 externref)) (import "m" "f" (func $f))
  (table $functions 10 20 funcref) (table $hosts 3 externref)
  (elem $segment func $f $g) (elem $hosts-segment externref (ref.null extern)) (elem declare func $g)
  (func $g (param externref i32) (result externref funcref)
    (table.set $hosts (local.get 1) (local.get 0))
    (table.set $functions (local.get 1) (ref.func $g))
    (table.set $functions (local.get 1) (ref.null func))
    (table.fill $hosts (i32.const 0) (local.get 0) (i32.const 2))
    (table.fill $functions (i32.const 0) (ref.func $f) (local.get 1))
    (table.copy $hosts $imported (i32.const 0) (i32.const 1) (local.get 1))
    (table.copy $functions $functions (i32.const 0) (i32.const 1) (local.get 1))
    (table.init $functions $segment (i32.const 0) (i32.const 1) (local.get 1))
    (table.init $hosts $hosts-segment (i32.const 0) (i32.const 1) (local.get 1))
    (elem.drop $segment)
    (table.get $imported (local.get 1)) (table.get $functions (local.get 1)))
  (func (param externref) (result i32)
    (table.grow $hosts (local.get 0) (i32.const 2))
    (table.grow $functions (ref.func $g) (i32.const 2)) i32.add
    (table.size $hosts) i32.add (table.size $functions) i32.add
    (ref.is_null (local.get 0)) i32.add (ref.is_null (ref.func $g)) i32.add
    (ref.is_null (ref.null func)) i32.add)
  (func (param externref i32) (result externref)
    (select (result externref) (ref.null extern) (local.get 0) (local.get 1)))
  (func (param funcref i32) (result funcref)
    (block (result funcref) (br_if 0 (local.get 0) (local.get 1)))))"#,
);

const GLOBALS: (&str, &str) = (
    "globals",
    r#"(module
  (import "m" "a" (global $a (mut i32))) (import "m" "b" (global $b f64))
  (import "m" "c" (global $c (mut externref))) (import "m" "d" (global $d funcref))
  (global $e (mut i64) (i64.const 1)) (global $f (mut f32) (f32.const 1)) (global $g f64 (f64.const 2))
  (global $h (mut funcref) (ref.null func)) (global $i i32 (i32.const 3)) (global $j (mut externref) (ref.null extern))
  (func (param externref) (result externref funcref f64)
    (global.set $a (i32.add (global.get $a) (global.get $i)))
    (global.set $c (local.get 0)) (global.set $j (global.get $c))
    (global.set $e (i64.add (global.get $e) (i64.const 1)))
    (global.set $f (f32.neg (global.get $f)))
    (global.set $h (global.get $d))
    (global.get $j) (global.get $h) (f64.add (global.get $b) (global.get $g))))"#,
);

const CALLS: (&str, &str) = (
    "calls",
    r#"(module
  (import "m" "f" (func $import (param i32 f32) (result i64)))
  (type $sum (func (param i32 i32) (result i32)))
  (type $many (func (param i64 f64)
    (result i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 externref funcref)))
  (table $t 4 funcref) (table $u 4 funcref)
  (func $sum (type $sum) (i32.add (local.get 0) (local.get 1)))
  (func $seven (result i32 i64 f32 f64 i32 i64 i32) (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)
    (i32.const 5) (i64.const 6) (i32.const 7))
  (func $many (type $many)
    (i32.const 1) (local.get 0) (f32.const 2) (local.get 1) (i32.const 3) (i64.const 4) (f32.const 5) (f64.const 6)
    (i32.const 7) (i64.const 8) (f32.const 9) (f64.const 10) (i32.const 11) (i64.const 12) (f32.const 13)
    (f64.const 14) (ref.null extern) (ref.null func))
  (func (param i32) (result i64)
    (call $import (call $sum (local.get 0) (i32.const 1)) (f32.const 1))
    (i64.extend_i32_u (call_indirect $t (type $sum) (i32.const 1) (i32.const 2) (local.get 0))) i64.add
    (i64.extend_i32_u (call_indirect $u (type $sum) (i32.const 1) (i32.const 2) (i32.const 3))) i64.add
    (call $seven) drop drop drop drop drop drop (i64.extend_i32_u) i64.add)
  (func (type $many) (call $many (local.get 0) (local.get 1)))
  (func (type $many) (call_indirect (type $many) (local.get 0) (local.get 1) (i32.const 0)))
  (func (type $many) (local.get 0) (local.get 1) (block (type $many) (call $many) (br 0)))
  (func (param i32) (result i32)
    (block (result i32) (br_if 0 (call $sum (i32.const 1) (i32.const 2)) (local.get 0))))
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#,
);

const TAIL_CALLS: (&str, &str) = (
    "tail calls",
    r#"(module
  (import "m" "f" (func $import (param i32) (result i64)))
  (type $count (func (param i32) (result i64)))
  (type $many (func (param i64) (result i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (type $wide (func (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 f64) (result i64)))
  (table 4 funcref)
  (func $count (type $count)
    (if (i32.eqz (local.get 0)) (then (return (i64.const 1))))
    (return_call $count (i32.sub (local.get 0) (i32.const 1))))
  (func (type $count) (return_call $import (local.get 0)))
  (func (type $count) (return_call_indirect (type $count) (local.get 0) (local.get 0)))
  (func $many (type $many) (return_call $many (local.get 0)))
  (func (type $many) (return_call_indirect (type $many) (local.get 0) (i32.const 1)))
  (func $wide (type $wide) (local.get 0))
  ;; More arguments than the caller has, on the stack.
  (func (type $count)
    (return_call $wide (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)
      (i64.const 7) (i64.const 8) (i64.const 9) (i64.extend_i32_u (local.get 0)) (f64.const 1)))
  (func (param i32) (result i64)
    (loop (if (local.get 0) (then (return_call $count (local.get 0)))) (br 0))
    (i64.const 1)))"#,
);

const OBJECTS: (&str, &str) = (
    "objects",
    r#"(module
  (type $point (sub (struct (field $x (mut f64)) (field $y (mut f64)))))
  (type $ball (sub final $point (struct (field $x (mut f64)) (field $y (mut f64)) (field $r f32))))
  (type $all (struct (field $a (mut i8)) (field $b (mut i16)) (field $c (mut i32)) (field $d (mut i64))
    (field $e (mut v128)) (field $f (mut (ref null $all))) (field $g (mut funcref)) (field $h (mut externref))))
  (type $bytes (array (mut i8))) (type $shorts (array (mut i16))) (type $vectors (array (mut v128)))
  (type $points (array (mut (ref null $point)))) (type $functions (array (mut funcref)))
  (type $f (sub (func (param i32) (result i32)))) (type $g (sub $f (func (param i32) (result i32))))
  (data $data "abcdefgh") (elem $elements (ref null $point) (ref.null $point))
  (elem $declared func $any)
  (func $all (param $o (ref null $all)) (result i32 i64 v128 (ref null $all) funcref externref)
    (struct.set $all $a (local.get $o) (struct.get_u $all $a (local.get $o)))
    (struct.set $all $b (local.get $o) (struct.get_s $all $b (local.get $o)))
    (struct.set $all $c (local.get $o) (struct.get_s $all $a (local.get $o)))
    (struct.set $all $f (local.get $o) (local.get $o))
    (i32.add (struct.get $all $c (local.get $o)) (struct.get_u $all $b (local.get $o)))
    (struct.get $all $d (local.get $o)) (struct.get $all $e (local.get $o)) (struct.get $all $f (local.get $o))
    (struct.get $all $g (local.get $o)) (struct.get $all $h (local.get $o)))
  (func (param $f funcref) (param $h externref) (result (ref $all))
    (call $all (struct.new_default $all)) drop drop drop drop drop
    (struct.new $all (i32.const 1) (i32.const 2) (i64.const 3) (v128.const i64x2 4 5) (struct.new_default $all)
      (local.get $f) (local.get $h)))
  (func (param $i i32) (result i32)
    (local $b (ref $bytes)) (local $v (ref $vectors))
    (local.set $b (array.new $bytes (i32.const 7) (local.get $i)))
    (local.set $v (array.new $vectors (v128.const i64x2 1 2) (local.get $i)))
    (drop (array.new $vectors (v128.const i64x2 1 2) (i32.const 3)))
    (drop (array.new_default $points (i32.const 5)))
    (array.set $bytes (local.get $b) (local.get $i) (array.get_s $bytes (local.get $b) (i32.const 1)))
    (array.set $vectors (local.get $v) (local.get $i) (array.get $vectors (local.get $v) (i32.const 1)))
    (array.fill $vectors (local.get $v) (i32.const 0) (v128.const i64x2 1 2) (local.get $i))
    (array.copy $vectors $vectors (local.get $v) (i32.const 0) (local.get $v) (i32.const 1) (local.get $i))
    (array.init_data $bytes $data (local.get $b) (i32.const 0) (i32.const 1) (local.get $i))
    (array.len (array.new_fixed $points 2 (ref.null none) (struct.new_default $point)))
    (array.get_u $shorts (array.new_data $shorts $data (i32.const 1) (i32.const 2)) (local.get $i)) i32.add)
  (func (param $p (ref $points)) (param $q (ref $functions)) (result (ref null $point))
    (array.fill $points (local.get $p) (i32.const 0) (struct.new_default $ball) (array.len (local.get $p)))
    (array.fill $functions (local.get $q) (i32.const 0) (ref.func $any) (i32.const 1))
    (array.copy $points $points (local.get $p) (i32.const 0)
      (array.new_elem $points $elements (i32.const 0) (i32.const 1)) (i32.const 0) (i32.const 1))
    (array.init_elem $points $elements (local.get $p) (i32.const 0) (i32.const 0) (i32.const 1))
    (array.init_elem $functions $declared (local.get $q) (i32.const 0) (i32.const 0) (i32.const 1))
    (array.get $points (local.get $p) (i32.const 0)))
  (func $any (param $x anyref) (result i32)
    (ref.test anyref (local.get $x)) (ref.test eqref (local.get $x)) i32.add
    (ref.test (ref i31) (local.get $x)) i32.add (ref.test structref (local.get $x)) i32.add
    (ref.test (ref array) (local.get $x)) i32.add (ref.test nullref (local.get $x)) i32.add
    (ref.test (ref none) (local.get $x)) i32.add (ref.test (ref $point) (local.get $x)) i32.add
    (ref.test (ref null $ball) (local.get $x)) i32.add (ref.test (ref null $bytes) (local.get $x)) i32.add
    (ref.eq (ref.cast eqref (local.get $x)) (ref.i31 (i32.const 7))) i32.add
    (i31.get_s (ref.cast i31ref (local.get $x))) i32.add (i31.get_u (ref.cast (ref i31) (local.get $x))) i32.add
    (ref.test (ref extern) (extern.convert_any (local.get $x))) i32.add
    (ref.is_null (any.convert_extern (extern.convert_any (local.get $x)))) i32.add
    (ref.test (ref noextern) (extern.convert_any (local.get $x))) i32.add)
  (func (param $x funcref) (result i32)
    (ref.test (ref func) (local.get $x)) (ref.test nullfuncref (local.get $x)) i32.add
    (ref.test (ref $f) (local.get $x)) i32.add (ref.test (ref null $g) (local.get $x)) i32.add
    (call_ref $g (i32.const 1) (ref.cast (ref $g) (local.get $x))) i32.add)
  (func (param $x anyref) (result (ref null $point))
    (local $p (ref null $point))
    (block $ball (result (ref $ball))
      (block $other (result anyref)
        (br_on_cast $ball (ref null $point) (ref $ball)
          (br_on_cast_fail $other anyref (ref null $point) (local.get $x)))
        (return))
      (drop)
      (block $struct (result (ref struct))
        (block $yes (result anyref)
          (br_on_cast $struct structref (ref struct) (br_on_cast_fail $yes anyref structref (local.get $x)))
          (return (ref.null none)))
        (return (ref.null none)))
      (drop) (struct.new_default $ball))))"#,
);

/// Blocks that catch, of both forms, around calls and throws.
pub const EXCEPTIONS: (&str, &str) = (
    "exceptions",
    r#"(module
  (import "" "" (tag $imported (param externref v128 i32)))
  (tag $a (param i32)) (tag $b (param i64 f64 funcref)) (tag $empty)
  (func $throws (param $x i32) (result i32)
    (loop (br_if 0 (i32.eqz (local.get $x))))
    (if (i32.eq (local.get $x) (i32.const 1)) (then (throw $a (local.get $x))))
    (if (i32.eq (local.get $x) (i32.const 2)) (then (throw $b (i64.const 1) (f64.const 2) (ref.null func))))
    (if (i32.eq (local.get $x) (i32.const 3))
      (then (throw $imported (ref.null extern) (v128.const i64x2 1 2) (local.get $x))))
    (throw $empty))
  (func (param $x i32) (result i32)
    (block $all
      (block $a (result i32 exnref)
        (block $b (result i64 f64 funcref)
          (return (try_table (result i32) (catch_ref $a $a) (catch $b $b) (catch_all $all)
            (call $throws (i32.add (local.get $x) (try_table (result i32) (call $throws (local.get $x))))))))
        (drop) (drop) (drop) (return (i32.const 4)))
      (throw_ref))
    (i32.const 5))
  (func (param $x i32) (result i32) (local $seen exnref)
    (loop $again (result i32)
      (local.set $seen (block $all (result exnref)
        (block $imported (result externref v128 i32)
          (br $again (try_table (result i32) (catch $imported $imported) (catch_all_ref $all)
            (call $throws (local.get $x)))
            (local.set $x) (local.get $x)))
        (local.set $x) (drop) (drop) (br $again)))
      (local.set $x (i32.add (local.get $x) (i32.const 1)))
      (br $again)))
  (func (param $x i32) (result i32)
    local.get $x
    try $outer (result i32)
      try (result i32)
        try (result i32)
          (call $throws (local.get $x))
        delegate $outer
      catch $a
        drop
        rethrow 0
      catch $empty
        try (result i32)
          (call $throws (local.get $x))
        catch_all
          rethrow 1
        end
      end
    catch $a
    catch_all
      i32.const 1
    end
    i32.add))"#,
);

/// Functions whose own instructions trap for known reasons.
pub const TRAPS: (&str, &str) = (
    "traps",
    r#"(module (memory 1)
  (func unreachable)
  (func (param i32) (result i32) (i32.load (local.get 0)))
  (func (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (param i64 i64) (result i64) (i64.rem_u (local.get 0) (local.get 1)))
  (func (param f64) (result i64) (i64.trunc_f64_u (local.get 0)))
  (func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))
  (func (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1))))"#,
);

/// All of them, by name.
#[allow(dead_code, reason = "one of the tests goes through them")]
pub const ALL: &[(&str, &str)] = &[
    INTEGERS,
    FLOATS,
    CONVERSIONS,
    CONTROL,
    MEMORY,
    TABLES,
    GLOBALS,
    CALLS,
    TAIL_CALLS,
    OBJECTS,
    EXCEPTIONS,
    TRAPS,
];
