//! From a seed to a module that makes objects and changes what leads to what, at random: the generator for collectors.
//!
//! Functions build structures and arrays of all kinds, large ones among them, store them into each other, into tables and
//! globals, throw them, and let go of them, on the way with references in operands over calls and allocations. What an export
//! returns is a number made of all that can be reached from the module's roots, and of nothing that a collector may change. With a
//! larger scale loops turn more often, so that most of what is made is garbage of several sizes of a nursery.
//!
//! All of it ends by construction: functions call those before them, each pays at its entry, and loops count. Nothing traps but
//! for want of memory.

use std::fmt::Write as _;

use super::generate::Random;

/// Functions that change objects; the last of them are exported.
const FUNCTIONS: usize = 12;
const EXPORTS: usize = 4;

/// Functions that are entered in one call, all together.
const ENTRIES: u32 = 40;

/// Arrays of numbers: their name, how an element is read as an `i64`, and a value of one.
const NUMBERS: [(&str, &str, &str, &str); 7] = [
    ("$bytes", "i64.extend_i32_u", "array.get_u", "(call $number)"),
    ("$shorts", "i64.extend_i32_u", "array.get_s", "(call $number)"),
    ("$words", "i64.extend_i32_u", "array.get", "(call $number)"),
    ("$longs", "", "array.get", "(i64.extend_i32_s (call $number))"),
    ("$floats", "i64.trunc_sat_f32_s", "array.get", "(f32.convert_i32_s (call $number))"),
    ("$doubles", "i64.trunc_sat_f64_s", "array.get", "(f64.convert_i32_s (call $number))"),
    ("$vectors", "i64x2.extract_lane 1", "array.get", "(i32x4.splat (call $number))"),
];

/// The module that follows from a seed. Its exports `e0` to `e3` take a number that random ones follow from, and a scale.
///
/// # Panics
/// The generator writes what is no module.
pub fn module_of_seed(seed: u64) -> Vec<u8> {
    let mut writer = Writer { random: Random::new(seed ^ 0x9c0b), function: 0 };
    let mut text = format!("(module {}\n{}", include_str!("mutator.wat"), digest());
    for function in 0..FUNCTIONS {
        writer.function = function;
        text += &writer.function();
    }
    for (export, function) in (FUNCTIONS - EXPORTS..FUNCTIONS).enumerate() {
        let _ = write!(
            text,
            "(func (export \"e{export}\") (param $seed i32) (param $scale i32) (result i64)
               (global.set $random (i32.or (local.get $seed) (i32.const 1)))
               (global.set $left (i32.const {ENTRIES})) (global.set $scale (local.get $scale))
               (table.set $t (call $below (i32.const 24)) (call $m{function} (global.get $g0)))
               (call $roots))\n"
        );
    }
    text.push(')');
    let encoded = wast::parser::ParseBuffer::new(&text)
        .and_then(|buffer| wast::parser::parse::<wast::Wat<'_>>(&buffer)?.encode());
    encoded.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"))
}

/// A number made of an object, of what it leads to, and so on as deep as is asked for.
fn digest() -> String {
    let mut text = "(func $digest (param $any anyref) (param $depth i32) (result i64)
        (local $sum i64) (local $i i32) (local $step i32) (local $rich (ref null $rich)) (local $pair (ref null $pair))
        (local $anys (ref null $anys)) (local $things (ref null $things))\n"
        .to_string();
    for (name, ..) in NUMBERS.iter().chain([&("$smalls", "", "", ""), &("$funcs", "", "", "")]) {
        let _ = writeln!(text, "(local {name} (ref null {name}))");
    }
    text += "(if (ref.is_null (local.get $any)) (then (return (i64.const 7))))
        (if (i32.or (i32.eqz (local.get $depth)) (i32.eqz (global.get $look))) (then (return (i64.const 1))))
        (global.set $look (i32.sub (global.get $look) (i32.const 1)))
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (if (ref.test (ref i31) (local.get $any))
          (then (return (i64.extend_i32_s (i31.get_s (ref.cast (ref i31) (local.get $any)))))))
        (local.set $pair (call $pair_of (local.get $any)))
        (if (i32.eqz (ref.is_null (local.get $pair))) (then
          (local.set $sum (call $mix (i64.extend_i32_u (struct.get $pair $id (local.get $pair)))
            (call $digest (struct.get $pair $a (local.get $pair)) (local.get $depth))))
          (local.set $sum (call $mix (local.get $sum)
            (call $digest (struct.get $pair $b (local.get $pair)) (local.get $depth))))
          (if (ref.test (ref $rich) (local.get $pair)) (then
            (local.set $rich (ref.cast (ref $rich) (local.get $pair)))
            (local.set $sum (call $mix (local.get $sum) (struct.get $rich $long (local.get $rich))))
            (local.set $sum (call $mix (local.get $sum)
              (i64.extend_i32_u (struct.get_s $rich $byte (local.get $rich)))))
            (local.set $sum (call $mix (local.get $sum)
              (i64x2.extract_lane 1 (struct.get $rich $vector (local.get $rich)))))
            (local.set $sum (call $mix (local.get $sum)
              (i64.extend_i32_u (ref.is_null (struct.get $rich $func (local.get $rich))))))
            (local.set $sum (call $mix (local.get $sum)
              (call $digest (struct.get $rich $small (local.get $rich)) (local.get $depth))))
            (local.set $sum (call $mix (local.get $sum)
              (call $digest (struct.get $rich $next (local.get $rich)) (local.get $depth))))
            (local.set $sum (call $mix (local.get $sum)
              (call $digest (struct.get $rich $things (local.get $rich)) (local.get $depth))))
            (local.set $sum (call $mix (local.get $sum)
              (call $digest (any.convert_extern (struct.get $rich $outer (local.get $rich))) (local.get $depth))))))
          (return (local.get $sum))))\n";
    let mut array = |name: &str, element: &str| {
        let _ = write!(
            text,
            "(if (ref.test (ref {name}) (local.get $any)) (then
               (local.set {name} (ref.cast (ref {name}) (local.get $any)))
               (local.set $sum (i64.extend_i32_u (array.len (local.get {name}))))
               (local.set $step (i32.add (i32.const 1) (i32.div_u (array.len (local.get {name})) (i32.const 40))))
               (block $end (loop $more
                 (br_if $end (i32.ge_u (local.get $i) (array.len (local.get {name}))))
                 (local.set $sum (call $mix (local.get $sum) {element}))
                 (local.set $i (i32.add (local.get $i) (local.get $step)))
                 (br $more)))
               (return (local.get $sum))))\n"
        );
    };
    for name in ["$anys", "$things", "$smalls"] {
        let element = format!("(array.get {name} (local.get {name}) (local.get $i))");
        array(name, &format!("(call $digest {element} (local.get $depth))"));
    }
    array("$funcs", "(i64.extend_i32_u (ref.is_null (array.get $funcs (local.get $funcs) (local.get $i))))");
    for (name, convert, get, _) in NUMBERS {
        let element = format!("({get} {name} (local.get {name}) (local.get $i))");
        array(name, &if convert.is_empty() { element } else { format!("({convert} {element})") });
    }
    text + "(i64.const 3))\n"
}

struct Writer {
    random: Random,
    /// The function that is being written.
    function: usize,
}

impl Writer {
    fn below(&mut self, limit: usize) -> usize {
        self.random.number() as usize % limit
    }

    fn one(&mut self, all: &[&str]) -> String {
        all[self.below(all.len())].to_string()
    }

    fn function(&mut self) -> String {
        let (statements, result) = (self.statements(5, 12), self.any(2));
        format!(
            "(func $m{} (param $x anyref) (result anyref)
               (local $y anyref) (local $z anyref) (local $p (ref null $pair)) (local $l (ref null $anys)) (local $n i32)
               (if (i32.eqz (global.get $left)) (then (return (local.get $x))))
               (global.set $left (i32.sub (global.get $left) (i32.const 1)))
               (local.set $y (table.get $t (call $below (i32.const 24))))
               {statements}
               {result})\n",
            self.function
        )
    }

    fn statements(&mut self, least: usize, most: usize) -> String {
        let count = least + self.below(most - least);
        (0..count).map(|_| self.statement() + "\n").collect()
    }

    fn statement(&mut self) -> String {
        match self.below(24) {
            0..3 => format!("(local.set {} {})", self.one(&["$x", "$y", "$z"]), self.any(3)),
            3..6 => format!("(table.set $t (call $below (i32.const 24)) {})", self.any(3)),
            6 => format!("(global.set {} {})", self.one(&["$g0", "$g1"]), self.any(3)),
            7 => format!("(global.set $g3 {}) (global.set $g2 {})", self.pair(2), self.anys(1)),
            8 => format!("(table.set $p (call $below (i32.const 8)) {})", self.pair(2)),
            9..12 => format!("(call $put {} (call $number) {})", self.any(2), self.any(3)),
            12 | 13 => {
                let (pair, set, value) = (self.pair(2), self.one(&["$a", "$b"]), self.any(2));
                format!(
                    "(local.set $p {pair}) (if (i32.eqz (ref.is_null (local.get $p))) (then
                       (struct.set $pair {set} (local.get $p) {value})))"
                )
            }
            14 => self.change_rich(),
            15..18 => self.change_array(),
            18 | 19 => self.churn(),
            20 => self.large(),
            21 => self.throw(),
            22 => format!(
                "(table.fill $t (call $below (i32.const 20)) {} (call $below (i32.const 4)))",
                self.any(2)
            ),
            _ => "(table.copy $t $t (call $below (i32.const 12)) (call $below (i32.const 12)) (i32.const 9))"
                .into(),
        }
    }

    /// Writes the other fields of a structure, if there is one.
    fn change_rich(&mut self) -> String {
        let (pair, next, small) = (self.pair(2), self.pair(2), self.below(1000));
        format!(
            "(local.set $z {pair}) (if (ref.test (ref $rich) (local.get $z)) (then
               (struct.set $rich $next (ref.cast (ref $rich) (local.get $z)) {next})
               (struct.set $rich $small (ref.cast (ref $rich) (local.get $z)) (ref.i31 (i32.const {small})))
               (struct.set $rich $long (ref.cast (ref $rich) (local.get $z)) (i64.extend_i32_u (call $number)))
               (struct.set $rich $outer (ref.cast (ref $rich) (local.get $z)) (extern.convert_any {}))
               (struct.set $rich $func (ref.cast (ref $rich) (local.get $z)) (ref.func $number))
               (struct.set $rich $things (ref.cast (ref $rich) (local.get $z))
                 (array.new $things {next} (call $below (i32.const 9))))))",
            self.any(1)
        )
    }

    /// Changes elements of an array, if there is one that has any.
    fn change_array(&mut self) -> String {
        let (array, value) = (self.anys(2), self.any(2));
        let change = match self.below(5) {
            0 | 1 => format!("(array.set $anys (local.get $l) (local.get $n) {value})"),
            2 => format!(
                "(array.fill $anys (local.get $l) (local.get $n) {value}
                   (i32.sub (array.len (local.get $l)) (local.get $n)))"
            ),
            3 => "(array.copy $anys $anys (local.get $l) (local.get $n) (local.get $l) (i32.const 0)
                    (i32.sub (array.len (local.get $l)) (local.get $n)))"
                .into(),
            _ => {
                "(array.init_elem $anys $e (local.get $l) (local.get $n) (i32.const 1) (i32.const 1))".into()
            }
        };
        format!(
            "(local.set $l {array}) (if (i32.eqz (ref.is_null (local.get $l))) (then (if (array.len (local.get $l)) (then
               (local.set $n (call $below (array.len (local.get $l)))) {change}))))"
        )
    }

    /// Makes much of which little is kept.
    fn churn(&mut self) -> String {
        let (turns, keep) = (1 + self.below(4), 1 + self.below(30));
        let (made, kept) = (self.leaf(), self.one(&["$x", "$y", "$z"]));
        let chain = if self.below(3) == 0 { format!("(local.get {kept})") } else { "(ref.null any)".into() };
        format!(
            "(local.set $n (i32.mul (global.get $scale) (i32.const {turns})))
             (loop $more
               (local.set $x (struct.new $pair (local.get $n) {chain} {made}))
               (if (i32.eqz (i32.rem_u (local.get $n) (i32.const {keep})))
                 (then (local.set {kept} (local.get $x)) (call $put (local.get $y) (local.get $n) (local.get $x))))
               (br_if $more (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))"
        )
    }

    /// Makes a large array and stores into it.
    fn large(&mut self) -> String {
        let (len, value, other) = (8_190 + self.below(4_000), self.any(1), self.any(2));
        let kept = if self.below(2) == 0 {
            "(global.set $g2 (local.get $l))"
        } else {
            "(local.set $z (local.get $l))"
        };
        format!(
            "(local.set $l (array.new $anys {value} (i32.const {len}))) {kept}
             (array.set $anys (local.get $l) (call $below (i32.const {len})) {other})
             (array.set $anys (local.get $l) (call $below (i32.const {len})) {})",
            self.any(1)
        )
    }

    /// Throws references, here or in a function that is called, and catches them.
    fn throw(&mut self) -> String {
        let (a, b, pair) = (self.any(2), self.any(1), self.pair(1));
        let call = self.call(1);
        format!(
            "(block $after
               (block $two (result i32 anyref (ref null $pair))
                 (block $one (result anyref)
                   (try_table (catch $one $one) (catch $two $two)
                     (local.set $z {call})
                     (if (i32.and (call $number) (i32.const 1)) (then (throw $one {a})))
                     (throw $two (call $number) {b} {pair}))
                   (unreachable))
                 (local.set $y) (br $after))
               (local.set $p) (local.set $x) (local.set $n))"
        )
    }

    /// A call of a function that has been written.
    fn call(&mut self, depth: usize) -> String {
        match self.function {
            0 => self.leaf(),
            count => format!("(call $m{} {})", self.below(count), self.any(depth)),
        }
    }

    fn leaf(&mut self) -> String {
        match self.below(9) {
            0..5 => self.one(&[
                "(local.get $x)",
                "(local.get $y)",
                "(local.get $z)",
                "(global.get $g0)",
                "(global.get $g1)",
            ]),
            5 | 6 => "(table.get $t (call $below (i32.const 24)))".into(),
            7 => "(ref.null any)".into(),
            _ => "(ref.i31 (call $number))".into(),
        }
    }

    /// Any reference.
    fn any(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        match self.below(20) {
            0..5 => self.leaf(),
            5..9 => self.pair(depth),
            9..12 => self.anys(depth),
            12..15 => format!("(call $child {} (call $number))", self.any(depth - 1)),
            15 | 16 => self.call(depth - 1),
            17 => {
                let (name, .., value) = NUMBERS[self.below(NUMBERS.len())];
                let len = if self.below(12) == 0 { 40_000 } else { self.below(60) };
                match self.below(3) {
                    0 => format!("(array.new {name} {value} (i32.const {len}))"),
                    1 => format!("(array.new_fixed {name} 2 {value} {value})"),
                    _ => format!("(array.new_data {name} $d (call $below (i32.const 8)) (i32.const 4))"),
                }
            }
            18 => {
                let (value, len) = (self.any(depth - 1), self.below(6));
                match self.below(3) {
                    0 => "(array.new $smalls (ref.i31 (call $number)) (i32.const 3))".into(),
                    1 => "(array.new_elem $funcs $f (i32.const 0) (i32.const 3))".into(),
                    _ => format!("(array.new $things (call $pair_of {value}) (i32.const {len}))"),
                }
            }
            _ => format!("(any.convert_extern (extern.convert_any {}))", self.any(depth - 1)),
        }
    }

    /// A reference of the type `(ref null $pair)`.
    fn pair(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.one(&[
                "(local.get $p)",
                "(global.get $g3)",
                "(table.get $p (call $below (i32.const 8)))",
            ]);
        }
        match self.below(8) {
            0..4 => {
                let [a, b] = [(); 2].map(|()| self.any(depth - 1));
                format!("(struct.new $pair (call $number) {a} {b})")
            }
            4 => "(struct.new_default $rich)".into(),
            5 => {
                let [a, b, outer] = [(); 3].map(|()| self.any(depth - 1));
                let next = self.pair(depth - 1);
                format!(
                    "(struct.new $rich (call $number) {a} {b} (i64.const 9) {next} (call $number) (ref.i31 (call $number))
                       (ref.null func) (i32x4.splat (call $number)) (ref.null $things) (extern.convert_any {outer}))"
                )
            }
            6 => format!("(call $pair_of {})", self.any(depth - 1)),
            _ => self.pair(0),
        }
    }

    /// A reference of the type `(ref null $anys)`.
    fn anys(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.one(&["(local.get $l)", "(global.get $g2)"]);
        }
        match self.below(6) {
            0 | 1 => format!("(array.new $anys {} (i32.const {}))", self.any(depth - 1), self.below(50)),
            2 => {
                let [a, b, c] = [(); 3].map(|()| self.any(depth - 1));
                format!("(array.new_fixed $anys 3 {a} {b} {c})")
            }
            3 => "(array.new_elem $anys $e (call $below (i32.const 2)) (i32.const 2))".into(),
            4 => format!("(call $anys_of {})", self.any(depth - 1)),
            _ => self.anys(0),
        }
    }
}
