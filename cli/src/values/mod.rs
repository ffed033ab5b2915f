//! Values on the command line: arguments of `--invoke` from text, its results to text.
//!
//! Numbers are written as in the text format. Integers are decimal or hexadecimal and may use the signed or
//! the unsigned range of their type; [`float`] has the forms of floats and [`vector`] those of vectors. A printed number
//! or vector can be read back as an argument.

mod float;
mod vector;

use wasmrun::{Val, ValType};

use float::{F32, F64};

/// Reads an argument of type `ty`.
pub fn parse(text: &str, ty: &ValType) -> Result<Val, String> {
    if let ValType::Ref(reference) = ty
        && !reference.is_nullable()
    {
        return Err(format!("no value of type {ty} can be given on the command line"));
    }
    let value = match ty {
        ValType::I32 => integer(text, 32).map(|bits| Val::I32(bits as u32 as i32)),
        ValType::I64 => integer(text, 64).map(|bits| Val::I64(bits as i64)),
        ValType::F32 => float::parse(text, &F32).map(|bits| Val::F32(bits as u32)),
        ValType::F64 => float::parse(text, &F64).map(Val::F64),
        ValType::V128 => vector::parse(text).map(|bits| Val::V128(bits.into())),
        ValType::Ref(_) if text == "null" || text == "ref.null" => Some(Val::default_for_ty(*ty)),
        _ => None,
    };
    value.ok_or_else(|| format!("`{text}` is no value of type {ty}; {}", accepted(ty)))
}

fn accepted(ty: &ValType) -> &'static str {
    match ty {
        ValType::I32 => "write an integer from -2147483648 to 4294967295, or 0x and hexadecimal digits",
        ValType::I64 => {
            "write an integer from -9223372036854775808 to 18446744073709551615, or 0x and hexadecimal digits"
        }
        ValType::F32 | ValType::F64 => {
            "write a number of its range such as 1.5, -2e10 or 0x1.8p3, or `inf`, `nan` or `nan:0x…`"
        }
        ValType::V128 => {
            "write an integer from 0 to 340282366920938463463374607431768211455, or 0x and hexadecimal digits, or lanes \
             such as i32x4:1,2,3,4 or f64x2:0.5,inf"
        }
        ValType::Ref(_) => "only `null` can be passed",
    }
}

/// An integer of `bits` bits, at most 64, in either range, as the low bits of the result.
fn integer(text: &str, bits: u32) -> Option<u64> {
    let (negative, magnitude) = sign(text);
    let value = match magnitude.strip_prefix("0x") {
        Some(digits) => unsigned(digits, 16)?,
        None => unsigned(magnitude, 10)?,
    };
    let value = u64::try_from(value).ok()?;
    let all = u64::MAX >> (64 - bits);
    let lowest = 1u64 << (bits - 1);
    match negative {
        false if value <= all => Some(value),
        true if value <= lowest => Some(value.wrapping_neg() & all),
        _ => None,
    }
}

/// Digits without a sign.
fn unsigned(digits: &str, radix: u32) -> Option<u128> {
    // The standard library would read a second sign.
    let starts_well = digits.starts_with(|c: char| c.is_digit(radix));
    u128::from_str_radix(&ungroup(digits, radix)?, radix).ok().filter(|_| starts_well)
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Text without the underscores that group its digits, if they stand where the text format has them: between
/// two digits.
fn ungroup(text: &str, radix: u32) -> Option<String> {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_digit(radix));
    let all_between = text
        .match_indices('_')
        .all(|(at, _)| is_digit(text[..at].chars().next_back()) && is_digit(text[at + 1..].chars().next()));
    all_between.then(|| text.replace('_', ""))
}

/// A result as text.
pub fn print(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => float::print(u64::from(*bits), &F32, f32::from_bits(*bits)),
        Val::F64(bits) => float::print(*bits, &F64, f64::from_bits(*bits)),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => {
            "null".to_owned()
        }
        Val::FuncRef(Some(_)) => "funcref".to_owned(),
        Val::ExternRef(Some(_)) => "externref".to_owned(),
        Val::AnyRef(Some(_)) => "anyref".to_owned(),
        Val::ExnRef(Some(_)) => "exnref".to_owned(),
        Val::V128(bits) => vector::print(bits.as_u128()),
    }
}
