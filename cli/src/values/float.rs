//! Floats on the command line, as the text format writes them: `1.5`, `-2e10`, `0x1.8p3`, `inf`, `nan`, and
//! `nan:0x…` with the payload.
//!
//! Both directions work on bits, so that no NaN loses its payload. A number is rounded once, to the nearest
//! float and of two equally near to the even one; what rounds to infinity is out of range. Decimal numbers
//! are the standard library's work. It has nothing for hexadecimal ones.

use super::{sign, ungroup, unsigned};

/// A binary format of IEEE 754.
pub struct Format {
    mantissa_bits: u32,
    bits: u32,
    /// A decimal number, correctly rounded, as bits.
    parse: fn(&str) -> Option<u64>,
}

/// Single precision.
pub const F32: Format = Format {
    mantissa_bits: 23,
    bits: 32,
    parse: |text| text.parse::<f32>().ok().map(|value| u64::from(value.to_bits())),
};

/// Double precision.
pub const F64: Format =
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

    /// The exponent of the last bit of the smallest float.
    fn lowest_exponent(&self) -> i64 {
        let exponent_bits = self.bits - 1 - self.mantissa_bits;
        2 - (1 << (exponent_bits - 1)) - i64::from(self.mantissa_bits)
    }
}

/// The bits of a float in `format`.
pub fn parse(text: &str, format: &Format) -> Option<u64> {
    let (negative, magnitude) = sign(text);
    let bits = match magnitude {
        "inf" => format.infinity(),
        "nan" => format.infinity() | format.canonical_payload(),
        _ => {
            if let Some(digits) = magnitude.strip_prefix("nan:0x") {
                let payload = u64::try_from(unsigned(digits, 16)?).ok()?;
                let fits = (1..=format.mantissa()).contains(&payload);
                fits.then_some(format.infinity() | payload)?
            } else {
                let bits = match magnitude.strip_prefix("0x") {
                    Some(digits) => hexadecimal(digits, format)?,
                    None => decimal(magnitude, format)?,
                };
                Some(bits).filter(|bits| *bits < format.infinity())?
            }
        }
    };
    Some(if negative { bits | format.sign_bit() } else { bits })
}

fn decimal(text: &str, format: &Format) -> Option<u64> {
    // Rust also reads a second sign, and `infinity` and `nan` in any case.
    let starts_well = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    (format.parse)(&ungroup(text, 10)?).filter(|_| starts_well)
}

/// `DIGITS[.DIGITS][p[+-]EXPONENT]`, the prefix `0x` taken off.
fn hexadecimal(text: &str, format: &Format) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (whole, fraction) = (ungroup(whole, 16)?, ungroup(fraction, 16)?);
    if whole.is_empty() {
        return None;
    }

    // The number is (value + a bit if anything was dropped) * 2^exponent.
    let (mut value, mut exponent, mut dropped) = (0u64, exponent, false);
    let digits = whole.chars().map(|c| (c, 4)).chain(fraction.chars().map(|c| (c, 0)));
    for (digit, weight) in digits {
        let digit = u64::from(digit.to_digit(16)?);
        if value >> 60 == 0 {
            value = value << 4 | digit;
            exponent -= 4 - weight;
        } else {
            dropped |= digit != 0;
            exponent += weight;
        }
    }
    Some(round(value, exponent, dropped, format))
}

/// A decimal exponent. Beyond the bounds no command line has enough digits to make up for it.
fn power(text: &str) -> Option<i64> {
    const BOUND: i64 = 1 << 40;
    let (negative, digits) = sign(text);
    let digits = ungroup(digits, 10)?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse().unwrap_or(BOUND).min(BOUND);
    Some(if negative { -magnitude } else { magnitude })
}

/// The bits of the float nearest to `value * 2^exponent`, or to a little more if `dropped`; the value has no
/// bit to spare then.
fn round(value: u64, exponent: i64, dropped: bool, format: &Format) -> u64 {
    if value == 0 {
        return 0;
    }
    let length = i64::from(u64::BITS - value.leading_zeros());
    let precision = i64::from(format.mantissa_bits) + 1;
    // The exponent of the result's last bit; numbers below the normal ones have fewer bits.
    let lowest = format.lowest_exponent();
    let last = (exponent + length - precision).max(lowest);
    let mantissa = match last - exponent {
        up @ ..=0 => value << -up,
        // Less than half of the last bit.
        65.. => 0,
        down => {
            // One more bit stands for everything that was dropped.
            let exact = u128::from(value) << 1 | u128::from(dropped);
            let down = down + 1;
            let (kept, rest, half) = (exact >> down, exact & ((1 << down) - 1), 1 << (down - 1));
            (kept + u128::from(rest > half || rest == half && kept & 1 == 1)) as u64
        }
    };
    // A mantissa of the normal length carries its highest bit into the exponent, as it should.
    let biased = u64::try_from(last - lowest).unwrap_or(0);
    let highest = format.infinity() >> format.mantissa_bits;
    (biased.min(highest) << format.mantissa_bits) + mantissa
}

/// A float as text; `value` is the same float for the standard library.
pub fn print(bits: u64, format: &Format, value: impl std::fmt::Display) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn f32_of(text: &str) -> Option<f32> {
        parse(text, &F32).map(|bits| f32::from_bits(bits as u32))
    }

    fn f64_of(text: &str) -> Option<f64> {
        parse(text, &F64).map(f64::from_bits)
    }

    /// A finite double in hexadecimal, exactly.
    fn hex(value: f64) -> String {
        let (bits, mantissa) = (value.to_bits(), value.to_bits() & F64.mantissa());
        let exponent = (bits >> F64.mantissa_bits & 0x7ff) as i64;
        let (whole, exponent) = if exponent == 0 { (0, -1022) } else { (1, exponent - 1023) };
        format!("{}0x{whole}.{mantissa:013x}p{exponent}", if value.is_sign_negative() { "-" } else { "" })
    }

    /// Bits of every kind and size, from a linear congruential generator (Knuth's MMIX).
    fn samples() -> impl Iterator<Item = u64> {
        let next =
            |state: &u64| Some(state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
        std::iter::successors(Some(1), next).map(|state: u64| state ^ state >> 29).take(50_000)
    }

    #[test]
    fn hexadecimal_numbers_have_the_values_that_they_say() {
        for (text, value) in [
            ("0x0", 0.0),
            ("0x1.8p3", 12.0),
            ("0x1.8P+3", 12.0),
            ("-0x1.8", -1.5),
            ("0x10", 16.0),
            ("0x1.", 1.0),
            ("0xA_b.c_dp-0_4", 0xabcd as f64 / 4096.0),
            ("0x1p1023", 2f64.powi(1023)),
            ("0x0.0000000000001p-1022", f64::from_bits(1)),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1p-1075", 0.0),
            ("0x1.0000000000001p-1075", f64::from_bits(1)),
            ("0x1p-99999999999999999999", 0.0),
            ("0x0p99999999999999999999", 0.0),
            ("0x1.fffffffffffffp1023", f64::MAX),
        ] {
            assert_eq!(f64_of(text).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        assert_eq!(f64_of(&format!("0x1{}p-400000", "0".repeat(100_000))), Some(1.0));
        assert_eq!(f64_of(&format!("0x0.{}1p400000", "0".repeat(99_999))), Some(1.0));
    }

    #[test]
    fn halves_go_to_the_even_neighbour_unless_anything_follows() {
        for (text, value) in [
            ("0x1.000001p0", 1.0),
            ("0x1.0000010000000000000000001p0", 1.0 + f32::EPSILON),
            ("0x1.000003p0", 1.0 + 2.0 * f32::EPSILON),
            ("0x1.0000030p0", 1.0 + 2.0 * f32::EPSILON),
            ("0x1.000002ffffffffffffffffffp0", 1.0 + f32::EPSILON),
            ("0x1.ffffffp0", 2.0),
            ("0x1p-150", 0.0),
            ("0x1.8p-149", f32::from_bits(2)),
            ("0x1.fffffep-127", f32::MIN_POSITIVE),
            ("0x1.fffffefffp127", f32::MAX),
        ] {
            assert_eq!(f32_of(text).map(f32::to_bits), Some(value.to_bits()), "{text}");
        }
    }

    #[test]
    fn what_rounds_to_infinity_is_out_of_range() {
        for text in ["0x1.ffffffp127", "0x1p128", "0x1p99999999999999999999", "3.5e38", "1e400"] {
            assert_eq!(f32_of(text), None, "{text}");
        }
        assert_eq!(f64_of("0x1.fffffffffffff8p1023"), None);
    }

    #[test]
    fn every_double_reads_back_from_hexadecimal() {
        for value in samples().map(f64::from_bits).filter(|value| value.is_finite()) {
            assert_eq!(f64_of(&hex(value)).map(f64::to_bits), Some(value.to_bits()), "{}", hex(value));
        }
    }

    #[test]
    fn doubles_round_to_singles_as_the_processor_rounds_them() {
        let check = |value: f64| {
            let single = Some(value as f32).filter(|single| single.is_finite());
            assert_eq!(f32_of(&hex(value)).map(f32::to_bits), single.map(f32::to_bits), "{}", hex(value));
        };
        for bits in samples() {
            // All exponents that singles have, and a few beyond on both sides.
            let exponent = 1023 - 155 + (bits >> 52) % 290;
            check(f64::from_bits(bits & F64.mantissa() | exponent << 52));
            // The middle between two singles.
            let single = f64::from(f32::from_bits(bits as u32 & 0x7f7f_ffff));
            let next = f64::from(f32::from_bits((bits as u32 & 0x7f7f_ffff) + 1));
            check((single + next) / 2.0);
        }
    }

    #[test]
    fn decimal_and_named_floats_are_those_of_the_text_format() {
        assert_eq!(f64_of("1_000.5e-0_3"), Some(1.0005));
        assert_eq!(f64_of("-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse("-nan:0x7", &F32), Some(0xff80_0007));
        assert_eq!(parse("nan", &F64), Some(0x7ff8_0000_0000_0000));
        for text in [
            "",
            "-",
            "+",
            "--1",
            "0x",
            "0x.8",
            "0xp1",
            "0x1p",
            "0x1p+",
            "0x1p1.0",
            "0x1pf",
            "0x1p--1",
            "0x-1",
            "0x1.-8",
            "0x1..8",
            "0x1.8.8",
            "1__0",
            "_1",
            "1_",
            "1_.5",
            "1._5",
            "0x_1",
            "0x1_p1",
            "infinity",
            "NaN",
            "INF",
            "nan:1",
            "nan:0x",
            "nan:0x0",
            "nan:0x800000",
            "nan:0x_1",
            "nan:0x+1",
            "1e",
            "1.5f",
            "0y1",
            "٣",
        ] {
            assert_eq!(parse(text, &F32), None, "{text}");
        }
    }
}
