//! Values on the command line: arguments of `--invoke` from text, its results to text.
//!
//! Integers are decimal or hexadecimal and may use the signed or the unsigned range of their type. Floats
//! are decimal, `inf`, `nan` or `nan:0x…` with the payload. A printed value can be read back as an argument.

use wasmrun::{Val, ValType};

/// Reads an argument of type `ty`.
pub fn parse(text: &str, ty: &ValType) -> Result<Val, String> {
    let value = match ty {
        ValType::I32 => integer(text, 32).map(|bits| Val::I32(bits as u32 as i32)),
        ValType::I64 => integer(text, 64).map(|bits| Val::I64(bits as i64)),
        ValType::F32 => float(text, &F32).map(|bits| Val::F32(bits as u32)),
        ValType::F64 => float(text, &F64).map(Val::F64),
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
        ValType::F32 | ValType::F64 => "write a number such as 1.5 or -2e10, `inf`, `nan` or `nan:0x…`",
        ValType::Ref(_) => "only `null` can be passed",
        _ => "values of this type cannot be passed",
    }
}

/// An integer of `bits` bits in either range, as the low bits of the result.
fn integer(text: &str, bits: u32) -> Option<u64> {
    let (negative, magnitude) = sign(text);
    let magnitude = magnitude.replace('_', "");
    let value = match magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X")) {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()?
        }
        None if magnitude.starts_with(|c: char| c.is_ascii_digit()) => magnitude.parse().ok()?,
        _ => return None,
    };
    let all = u64::MAX >> (64 - bits);
    let lowest = 1u64 << (bits - 1);
    match negative {
        false if value <= all => Some(value),
        true if value <= lowest => Some(value.wrapping_neg() & all),
        _ => None,
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A binary format of IEEE 754.
struct Format {
    mantissa_bits: u32,
    bits: u32,
    /// A decimal number, correctly rounded, as bits.
    parse: fn(&str) -> Option<u64>,
}

const F32: Format = Format {
    mantissa_bits: 23,
    bits: 32,
    parse: |text| text.parse::<f32>().ok().map(|value| u64::from(value.to_bits())),
};

const F64: Format =
    Format { mantissa_bits: 52, bits: 64, parse: |text| text.parse::<f64>().ok().map(f64::to_bits) };

impl Format {
    fn mantissa(&self) -> u64 {
        (1 << self.mantissa_bits) - 1
    }

    fn sign_bit(&self) -> u64 {
        1 << (self.bits - 1)
    }

    fn infinity(&self) -> u64 {
        (self.sign_bit() - 1) & !self.mantissa()
    }

    /// The payload of the NaN that operations produce.
    fn canonical_payload(&self) -> u64 {
        1 << (self.mantissa_bits - 1)
    }
}

fn float(text: &str, format: &Format) -> Option<u64> {
    let (negative, magnitude) = sign(text);
    let bits = match magnitude {
        "inf" | "infinity" => format.infinity(),
        "nan" => format.infinity() | format.canonical_payload(),
        _ => match magnitude.strip_prefix("nan:0x") {
            Some(digits) => {
                let payload = u64::from_str_radix(&digits.replace('_', ""), 16).ok()?;
                if payload == 0 || payload > format.mantissa() {
                    return None;
                }
                format.infinity() | payload
            }
            // Rust also reads `infinity` and `nan` in any case; digits and a point are all that is meant here.
            None if magnitude.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                (format.parse)(&magnitude.replace('_', ""))?
            }
            None => return None,
        },
    };
    Some(if negative { bits | format.sign_bit() } else { bits })
}

/// A result as text.
pub fn print(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => print_float(u64::from(*bits), &F32, f32::from_bits(*bits)),
        Val::F64(bits) => print_float(*bits, &F64, f64::from_bits(*bits)),
        Val::FuncRef(None) | Val::ExternRef(None) => "null".to_owned(),
        Val::FuncRef(Some(_)) => "funcref".to_owned(),
        Val::ExternRef(Some(_)) => "externref".to_owned(),
        Val::V128(bits) => format!("{:#034x}", bits.as_u128()),
    }
}

fn print_float(bits: u64, format: &Format, value: impl std::fmt::Display) -> String {
    let magnitude = bits & !format.sign_bit();
    let sign = if bits == magnitude { "" } else { "-" };
    let payload = magnitude & format.mantissa();
    if magnitude < format.infinity() {
        // The shortest decimal number that reads back as the same float.
        value.to_string()
    } else if payload == 0 {
        format!("{sign}inf")
    } else if payload == format.canonical_payload() {
        format!("{sign}nan")
    } else {
        format!("{sign}nan:{payload:#x}")
    }
}
