//! What the host provides to a module under test: the same in every engine, made from types alone.

use super::{Type, Value};

/// A well-mixed function of `bits` (the finaliser of splitmix64).
pub fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What an imported function answers: each result depends on all arguments, so that an argument that
/// arrives wrong is seen.
pub fn host_results(args: &[Value], results: &[Type]) -> Vec<Value> {
    of_digest(digest_of(args), results)
}

/// Values that follow from a digest.
pub(super) fn of_digest(digest: u64, types: &[Type]) -> Vec<Value> {
    types.iter().zip(0u64..).map(|(ty, i)| from_bits(*ty, mixed(digest ^ i))).collect()
}

/// A number made of values.
pub(super) fn digest_of(values: &[Value]) -> u64 {
    values.iter().fold(0, |digest, value| mixed(digest ^ bits(value)))
}

/// What imported globals and tables hold.
pub fn initial_value(ty: Type) -> Value {
    from_bits(ty, 12)
}

fn bits(value: &Value) -> u64 {
    match *value {
        Value::I32(value) => value as u32 as u64,
        Value::I64(value) => value as u64,
        Value::F32(bits) => bits as u64,
        Value::F64(bits) => bits,
        Value::V128(bits) => mixed(bits as u64) ^ (bits >> 64) as u64,
        Value::Func(some) => some as u64,
        Value::Extern(value) => value.map_or(u64::MAX, u64::from),
        Value::Any(value) => value.unwrap_or(u64::MAX),
        Value::Exn(some) => some as u64,
    }
}

fn from_bits(ty: Type, bits: u64) -> Value {
    match ty {
        Type::I32 => Value::I32(bits as i32),
        Type::I64 => Value::I64(bits as i64),
        // Never a NaN: see `generate`.
        Type::F32 => Value::F32((bits as i16 as f32 / 4.0).to_bits()),
        Type::F64 => Value::F64((bits as i32 as f64 / 4.0).to_bits()),
        Type::V128 => Value::V128(u128::from(mixed(bits)) << 64 | u128::from(bits)),
        Type::Func => Value::Func(false),
        Type::Any => Value::Any(None),
        Type::Exn => Value::Exn(false),
        Type::Extern => Value::Extern((bits & 1 == 0).then_some(bits as u32 & 0xff)),
    }
}
