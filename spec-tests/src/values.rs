//! Arguments and results as scripts write them.

use wasmrun::{AnyRef, ExternRef, Store, V128, Val};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The value of an argument, or the proposal that it needs.
pub fn argument(store: &mut Store<()>, arg: &WastArg<'_>) -> Result<Val, String> {
    let WastArg::Core(arg) = arg else { return Err("component-model".to_string()) };
    Ok(match arg {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::RefNull(HeapType::Abstract { ty, .. }) => match family(ty) {
            Family::Func => Val::FuncRef(None),
            Family::Extern => Val::ExternRef(None),
            Family::Any => Val::AnyRef(None),
            Family::Exn => Val::ExnRef(None),
            Family::Cont => return Err("stack-switching".to_string()),
        },
        WastArgCore::RefNull(_) => return Err("a null of a type of no module".to_string()),
        WastArgCore::RefExtern(number) => {
            let value = ExternRef::new(store, *number).map_err(|error| format!("no externref: {error:#}"))?;
            Val::ExternRef(Some(value))
        }
        WastArgCore::RefHost(number) => {
            let value =
                ExternRef::new(&mut *store, *number).and_then(|value| AnyRef::convert_extern(store, value));
            Val::AnyRef(Some(value.map_err(|error| format!("no anyref: {error:#}"))?))
        }
        WastArgCore::V128(value) => Val::V128(V128::from(u128::from_le_bytes(value.to_le_bytes()))),
    })
}

/// What references can be of one hierarchy.
#[derive(PartialEq)]
enum Family {
    Func,
    Extern,
    Any,
    Exn,
    Cont,
}

fn family(ty: &AbstractHeapType) -> Family {
    use AbstractHeapType as A;
    match ty {
        A::Func | A::NoFunc => Family::Func,
        A::Extern | A::NoExtern => Family::Extern,
        A::Exn | A::NoExn => Family::Exn,
        A::Cont | A::NoCont => Family::Cont,
        A::Any | A::Eq | A::Struct | A::Array | A::I31 | A::None => Family::Any,
    }
}

/// What is wrong with `got`, if it is not what a script expects.
pub fn mismatch(store: &mut Store<()>, expected: &[WastRet<'_>], got: &[Val]) -> Option<String> {
    if expected.len() != got.len() {
        return Some(format!("expected {} results, got {}", expected.len(), list(got)));
    }
    let wrong = expected.iter().zip(got).position(|(expected, got)| match expected {
        WastRet::Core(expected) => !matches(store, expected, got),
        _ => true,
    })?;
    Some(format!("expected {:?}, got {}", expected[wrong], list(&got[wrong..=wrong])))
}

fn matches(store: &mut Store<()>, expected: &WastRetCore<'_>, got: &Val) -> bool {
    match (expected, got) {
        (WastRetCore::Either(cases), _) => cases.iter().any(|case| matches(store, case, got)),
        (WastRetCore::I32(expected), Val::I32(got)) => expected == got,
        (WastRetCore::I64(expected), Val::I64(got)) => expected == got,
        (WastRetCore::F32(pattern), Val::F32(bits)) => matches_f32(pattern, *bits),
        (WastRetCore::F64(pattern), Val::F64(bits)) => matches_f64(pattern, *bits),
        (WastRetCore::V128(pattern), Val::V128(got)) => matches_v128(pattern, got.as_u128()),
        (WastRetCore::RefNull(None), got) => got.ref_().is_some_and(|reference| reference.is_null()),
        (WastRetCore::RefNull(Some(HeapType::Abstract { ty, .. })), got) => match got {
            Val::FuncRef(None) => family(ty) == Family::Func,
            Val::ExternRef(None) => family(ty) == Family::Extern,
            Val::AnyRef(None) => family(ty) == Family::Any,
            Val::ExnRef(None) => family(ty) == Family::Exn,
            _ => false,
        },
        (WastRetCore::RefAny, Val::AnyRef(Some(_))) => true,
        (WastRetCore::RefEq, Val::AnyRef(Some(value))) => value.is_eqref(store).unwrap_or(false),
        (WastRetCore::RefArray, Val::AnyRef(Some(value))) => value.is_array(store).unwrap_or(false),
        (WastRetCore::RefStruct, Val::AnyRef(Some(value))) => value.is_struct(store).unwrap_or(false),
        (WastRetCore::RefI31, Val::AnyRef(Some(value))) => value.is_i31(store).unwrap_or(false),
        (WastRetCore::RefHost(number), Val::AnyRef(Some(value))) => {
            let value = ExternRef::convert_any(&mut *store, *value);
            value.is_ok_and(|value| matches(store, &WastRetCore::RefExtern(Some(*number)), &Val::from(value)))
        }
        (WastRetCore::RefExtern(None), Val::ExternRef(Some(_))) => true,
        (WastRetCore::RefExtern(Some(number)), Val::ExternRef(Some(value))) => {
            value.data(&*store).is_ok_and(|data| data.and_then(|data| data.downcast_ref()) == Some(number))
        }
        (WastRetCore::RefFunc(_), Val::FuncRef(Some(_))) => true,
        _ => false,
    }
}

fn matches_f32(pattern: &NanPattern<F32>, bits: u32) -> bool {
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => expected.bits == bits,
    }
}

fn matches_f64(pattern: &NanPattern<F64>, bits: u64) -> bool {
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(expected) => expected.bits == bits,
    }
}

/// Whether the lanes of `bits`, of which each can have a pattern of its own, are those expected.
fn matches_v128(pattern: &V128Pattern, bits: u128) -> bool {
    match pattern {
        V128Pattern::I8x16(lanes) => lanes.iter().zip(0..).all(|(lane, i)| *lane == (bits >> (8 * i)) as i8),
        V128Pattern::I16x8(lanes) => {
            lanes.iter().zip(0..).all(|(lane, i)| *lane == (bits >> (16 * i)) as i16)
        }
        V128Pattern::I32x4(lanes) => {
            lanes.iter().zip(0..).all(|(lane, i)| *lane == (bits >> (32 * i)) as i32)
        }
        V128Pattern::I64x2(lanes) => {
            lanes.iter().zip(0..).all(|(lane, i)| *lane == (bits >> (64 * i)) as i64)
        }
        V128Pattern::F32x4(lanes) => {
            lanes.iter().zip(0..).all(|(lane, i)| matches_f32(lane, (bits >> (32 * i)) as u32))
        }
        V128Pattern::F64x2(lanes) => {
            lanes.iter().zip(0..).all(|(lane, i)| matches_f64(lane, (bits >> (64 * i)) as u64))
        }
    }
}

/// Values for messages, floats with their bits.
pub fn list(values: &[Val]) -> String {
    let texts: Vec<String> = values
        .iter()
        .map(|value| match value {
            Val::I32(value) => format!("i32 {value}"),
            Val::I64(value) => format!("i64 {value}"),
            Val::F32(bits) => format!("f32 {} ({bits:#010x})", f32::from_bits(*bits)),
            Val::F64(bits) => format!("f64 {} ({bits:#018x})", f64::from_bits(*bits)),
            Val::V128(value) => format!("v128 {:#034x}", value.as_u128()),
            other => format!("{other:?}"),
        })
        .collect();
    if texts.is_empty() { "nothing".to_string() } else { texts.join(", ") }
}
