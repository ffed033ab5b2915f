//! What instructions are called.

use std::fmt;
use std::sync::LazyLock;

use wasmparser::Operator;

/// What kind of instruction one is, by its name in the text format: `ref.test` is one, whatever type it is of.
///
/// ```
/// # use wasmrun::{Engine, Instance, Module, Store, probe::{Counts, Monitor, Plan}};
/// # struct First(Option<Counts>);
/// # impl Monitor for First {
/// #     fn attach(&mut self, _: &Module, plan: &mut Plan<'_>) -> wasmrun::Result<()> { self.0 = Some(plan.count()); Ok(()) }
/// # }
/// # let engine = Engine::default();
/// # let mut store = Store::new(&engine, ());
/// # let attached = store.attach(First(None))?;
/// # let module = Module::new(&engine, "(module (func (drop (i32.const 1))))")?;
/// # Instance::new(&mut store, &module, &[])?;
/// # let counts = store.detach(attached).0.unwrap();
/// let names: Vec<_> = counts.of_function(0).iter().map(|i| i.opcode.name()).collect();
/// assert_eq!(names, ["i32.const", "drop"]);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opcode(&'static str);

macro_rules! numbers {
    ($(@$proposal:ident $operator:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($annotation:tt)*))*) => {
        #[derive(Clone, Copy)]
        enum Number { $($operator),* }

        const VISITS: &[&str] = &[$(stringify!($visit)),*];

        impl Opcode {
            pub(super) fn of(operator: &Operator<'_>) -> Opcode {
                let number = match operator {
                    $(Operator::$operator { .. } => Number::$operator,)*
                    // The enumeration may grow; validation accepts none of those.
                    _ => unreachable!("validated: {operator:?}"),
                };
                Opcode(&NAMES[number as usize])
            }
        }
    };
}

wasmparser::for_each_operator!(numbers);

/// By the numbers of the operators.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| VISITS.iter().map(|visit| name(visit)).collect());

impl Opcode {
    /// Its name in the text format.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of the instruction that is visited so.
fn name(visit: &str) -> String {
    const BEFORE_A_DOT: [&str; 25] = [
        "i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2", "local",
        "global", "table", "memory", "ref", "elem", "data", "struct", "array", "any", "extern", "i31",
        "cont", "atomic",
    ];
    let visit = visit.strip_prefix("visit_").unwrap_or(visit);
    if visit.starts_with("typed_select") {
        return "select".to_owned();
    }
    let Some((first, rest)) = visit.split_once('_') else { return visit.to_owned() };
    if !BEFORE_A_DOT.contains(&first) {
        return visit.to_owned();
    }
    // Whether a test admits null is part of its type in the text format.
    let null = ["_non_null", "_nullable"]
        .into_iter()
        .filter(|_| rest.starts_with("test") || rest.starts_with("cast"));
    let rest = null.filter_map(|null| rest.strip_suffix(null)).next().unwrap_or(rest);
    match rest.strip_prefix("atomic_") {
        None => format!("{first}.{rest}"),
        // As in `i32.atomic.rmw8.add_u`.
        Some(access) if access.starts_with("rmw") => {
            format!("{first}.atomic.{}", access.replacen('_', ".", 1))
        }
        Some(access) => format!("{first}.atomic.{access}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_text_format() {
        let names = [
            ("visit_i32_trunc_sat_f32_s", "i32.trunc_sat_f32_s"),
            ("visit_br_on_null", "br_on_null"),
            ("visit_return_call_indirect", "return_call_indirect"),
            ("visit_i64_atomic_rmw16_cmpxchg_u", "i64.atomic.rmw16.cmpxchg_u"),
            ("visit_memory_atomic_wait32", "memory.atomic.wait32"),
            ("visit_i64_atomic_load8_u", "i64.atomic.load8_u"),
            ("visit_atomic_fence", "atomic.fence"),
            ("visit_struct_new_default", "struct.new_default"),
            ("visit_ref_i31", "ref.i31"),
            ("visit_i31_get_s", "i31.get_s"),
            ("visit_any_convert_extern", "any.convert_extern"),
            ("visit_try_table", "try_table"),
            ("visit_nop", "nop"),
            ("visit_typed_select", "select"),
            ("visit_ref_test_non_null", "ref.test"),
            ("visit_ref_cast_nullable", "ref.cast"),
            ("visit_br_on_non_null", "br_on_non_null"),
            ("visit_ref_as_non_null", "ref.as_non_null"),
        ];
        for (visit, expected) in names {
            assert!(VISITS.contains(&visit), "{visit}");
            assert_eq!(name(visit), expected);
        }
    }

    #[test]
    fn every_name_without_operands_is_one_that_the_text_format_has() {
        let unknown: Vec<&str> = VISITS
            .iter()
            .copied()
            .filter(|visit| {
                let text = format!("(module (func {}))", name(visit));
                // The parser looks at names before it misses operands.
                wat::parse_str(&text).is_err_and(|error| error.to_string().contains("unknown operator"))
            })
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
