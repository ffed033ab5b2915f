//! Expressions: values of all types, by all that needs no call, and by calls.

use super::super::Type::{self, Any, Exn, Extern, F32, F64, Func, I32, I64, V128};
use super::{Body, Flavour, Generator, KEPT, RESULTS, name};

impl Generator {
    pub(super) fn constants(&mut self, types: &[Type]) -> String {
        types.iter().map(|ty| self.constant(*ty)).collect()
    }

    pub(super) fn constant(&mut self, ty: Type) -> String {
        const EDGES: [i64; 12] = [0, 1, 2, 3, 7, 8, 31, 64, -1, 0x7fff_ffff, -0x8000_0000, 1000];
        let value = self.one(&EDGES);
        match ty {
            Extern => " (ref.null extern)".into(),
            Any if self.once_in(2) => format!(" (ref.i31 (i32.const {value}))"),
            Any => " (ref.null any)".into(),
            Exn => " (ref.null exn)".into(),
            Func if self.once_in(2) => {
                let tabled: Vec<usize> = self.elements.iter().flatten().copied().collect();
                let function = self.one(&tabled);
                format!(" (ref.func {})", self.functions[function].name)
            }
            Func => " (ref.null func)".into(),
            V128 => format!(" (v128.const i64x2 {value} {})", self.one(&EDGES)),
            I64 if self.once_in(2) => format!(" (i64.const {})", value.rotate_left(31)),
            _ => format!(" ({}.const {value})", name(ty)),
        }
    }

    pub(super) fn values(&mut self, body: &mut Body, types: &[Type], depth: u32) -> String {
        types.iter().map(|ty| self.value(body, *ty, depth)).collect()
    }

    /// A local that may be assigned.
    pub(super) fn local(&mut self, body: &Body, ty: Type) -> Option<usize> {
        let fit: Vec<usize> = body.locals.iter().filter(|local| local.1 == ty).map(|local| local.0).collect();
        (!fit.is_empty()).then(|| self.one(&fit))
    }

    /// Something simple of a type.
    pub(super) fn simple(&mut self, body: &Body, ty: Type) -> String {
        if ty == I32 && !body.counters.is_empty() && self.once_in(3) {
            return format!(" (local.get {})", self.one(&body.counters));
        }
        let global = self.globals().iter().filter(|global| global.1 == ty).map(|global| global.0).next();
        if ty == Exn && self.once_in(3) {
            return format!(" (table.get $kept (i32.const {}))", self.below(KEPT));
        }
        match (self.below(5), self.local(body, ty), global) {
            (0, ..) => self.constant(ty),
            (1, _, Some(global)) => format!(" (global.get {global})"),
            (_, Some(local), _) => format!(" (local.get {local})"),
            _ => self.constant(ty),
        }
    }

    /// An expression of a type.
    pub(super) fn value(&mut self, body: &mut Body, ty: Type, depth: u32) -> String {
        if depth == 0 || body.left == 0 {
            return self.simple(body, ty);
        }
        body.left -= 1;
        let depth = depth - 1;
        if self.throws() && self.once_in(14) {
            return self.caught_value(body, ty, depth);
        }
        match self.below(12) {
            0..2 => self.simple(body, ty),
            2 => {
                let condition = self.condition(body, depth);
                let [yes, no] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                match ty {
                    Extern | Any | Exn | Func => {
                        format!(" (select (result {}){yes}{no}{condition})", name(ty))
                    }
                    _ => format!(" (select{yes}{no}{condition})"),
                }
            }
            3 => {
                let condition = self.condition(body, depth);
                let [yes, no] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                format!(" (if (result {}){condition} (then{yes}) (else{no}))", name(ty))
            }
            4 => {
                let [early, late] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                let condition = self.condition(body, depth);
                format!(" (block (result {}) (drop (br_if 0{early}{condition})){late})", name(ty))
            }
            5 => match self.local(body, ty) {
                Some(local) => format!(" (local.tee {local}{})", self.value(body, ty, depth)),
                None => self.simple(body, ty),
            },
            6..9 => {
                let results = RESULTS.iter().position(|results| *results == [ty]);
                match results.and_then(|results| self.call(body, Some(results), depth)) {
                    Some((call, _)) => format!(" {call}"),
                    None => self.simple(body, ty),
                }
            }
            _ => self.operation(body, ty, depth),
        }
    }

    /// Zero or one. That it ends in no comparison spares wasmi a mistake: see [`super::generate`].
    pub(super) fn condition(&mut self, body: &mut Body, depth: u32) -> String {
        format!(" (i32.and{} (i32.const 1))", self.value(body, I32, depth))
    }

    /// An address, nearly always in the first page.
    pub(super) fn address(&mut self, body: &mut Body, depth: u32) -> String {
        let value = self.value(body, I32, depth);
        match self.below(80) {
            0 => value,
            _ => format!(" (i32.and{value} (i32.const {}))", self.one(&[0xff, 0xfff, 0x7ff8])),
        }
    }

    pub(super) fn operation(&mut self, body: &mut Body, ty: Type, depth: u32) -> String {
        let ty_name = name(ty);
        if self.flavour == Flavour::Atomic && matches!(ty, I32 | I64) && self.once_in(3) {
            return self.atomic(body, ty, depth);
        }
        match ty {
            I32 | I64 => match self.below(10) {
                0 => {
                    let op = self.one(&["clz", "ctz", "popcnt", "extend8_s", "extend16_s"]);
                    format!(" ({ty_name}.{op}{})", self.value(body, ty, depth))
                }
                1 => {
                    let op = self.one(&["div_u", "div_s", "rem_u", "rem_s"]);
                    let [a, b] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                    match self.below(30) {
                        0 => format!(" ({ty_name}.{op}{a}{b})"),
                        _ => {
                            format!(" ({ty_name}.{op}{a} ({ty_name}.const {}))", self.one(&[1, 3, 7, 8, 10]))
                        }
                    }
                }
                2 => {
                    let op = match ty {
                        I32 => self.one(&["load", "load8_u", "load16_s", "load8_s"]),
                        _ => self.one(&["load", "load32_u", "load16_s", "load8_u"]),
                    };
                    let offset = self.one(&["", " offset=4", " offset=1000"]);
                    format!(" ({ty_name}.{op}{offset}{})", self.address(body, depth))
                }
                3 if ty == I32 => {
                    let of = self.one(&[I64, F64, Extern]);
                    let value = self.value(body, of, depth);
                    match of {
                        I64 if self.once_in(2) => format!(" (i32.wrap_i64{value})"),
                        I64 => format!(" (i64.lt_s{value}{})", self.value(body, I64, depth)),
                        F64 => format!(" (i32.trunc_sat_f64_s{value})"),
                        _ => format!(" (ref.is_null{value})"),
                    }
                }
                3 => {
                    let of = self.one(&[I32, F64]);
                    let value = self.value(body, of, depth);
                    match of {
                        I32 => format!(" (i64.extend_i32_{}{value})", self.one(&["s", "u"])),
                        _ => format!(" (i64.reinterpret_f64{value})"),
                    }
                }
                4 if ty == I32 => match self.below(12) {
                    0 => format!(" (memory.grow (i32.and{} (i32.const 1)))", self.value(body, I32, depth)),
                    1 => " (memory.size)".into(),
                    _ => {
                        let op = self.one(&["lt_u", "ge_s", "eq", "ne", "gt_u", "le_s"]);
                        format!(" (i32.{op}{})", self.values(body, &[I32, I32], depth))
                    }
                },
                9 => {
                    let op = match ty {
                        I32 => self.one(&["i8x16.bitmask", "v128.any_true", "i16x8.extract_lane_s 5"]),
                        _ => self.one(&["i64x2.extract_lane 0", "i64x2.extract_lane 1"]),
                    };
                    format!(" ({op}{})", self.value(body, V128, depth))
                }
                _ => {
                    const OPS: [&str; 12] = [
                        "add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "add",
                        "add",
                    ];
                    let op = self.one(&OPS);
                    format!(" ({ty_name}.{op}{})", self.values(body, &[ty, ty], depth))
                }
            },
            F32 | F64 => match self.below(3) {
                0 => format!(" ({ty_name}.{}{})", self.one(&["neg", "abs"]), self.value(body, ty, depth)),
                1 => format!(" ({ty_name}.copysign{})", self.values(body, &[ty, ty], depth)),
                _ => format!(" ({ty_name}.convert_i32_s{})", self.value(body, I32, depth)),
            },
            V128 => self.vector(body, depth),
            Any if self.once_in(2) => format!(" (ref.i31{})", self.value(body, I32, depth)),
            Extern | Func | Any | Exn => self.simple(body, ty),
        }
    }

    /// An operation that makes a vector, without floats.
    pub(super) fn vector(&mut self, body: &mut Body, depth: u32) -> String {
        match self.below(9) {
            0 => {
                let (shape, of) = self.one(&[("i8x16", I32), ("i32x4", I32), ("i64x2", I64)]);
                format!(" ({shape}.splat{})", self.value(body, of, depth))
            }
            1 => {
                let (shape, lanes, of) =
                    self.one(&[("i8x16", 16, I32), ("i32x4", 4, I32), ("i64x2", 2, I64)]);
                let lane = self.below(lanes);
                format!(" ({shape}.replace_lane {lane}{})", self.values(body, &[V128, of], depth))
            }
            2 => {
                let op = self.one(&["load", "load8x8_s", "load32_splat", "load64_zero"]);
                let offset = self.one(&["", " offset=4", " offset=1000"]);
                format!(" (v128.{op}{offset}{})", self.address(body, depth))
            }
            3 => {
                let lanes: String = (0..16).map(|_| format!(" {}", self.below(32))).collect();
                format!(" (i8x16.shuffle{lanes}{})", self.values(body, &[V128, V128], depth))
            }
            4 => {
                let op = self.one(&["i8x16.shr_s", "i16x8.shl", "i64x2.shr_u"]);
                format!(" ({op}{})", self.values(body, &[V128, I32], depth))
            }
            5 => {
                let op = self.one(&["v128.not", "i32x4.abs", "i16x8.extend_high_i8x16_u"]);
                format!(" ({op}{})", self.value(body, V128, depth))
            }
            6 => format!(" (v128.bitselect{})", self.values(body, &[V128, V128, V128], depth)),
            _ => {
                const OPS: [&str; 6] =
                    ["i8x16.add", "i16x8.mul", "i32x4.sub", "i64x2.add", "v128.xor", "i16x8.gt_s"];
                let op = self.one(&OPS);
                format!(" ({op}{})", self.values(body, &[V128, V128], depth))
            }
        }
    }
}
