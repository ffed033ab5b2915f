//! Values with units on the command line: durations, sizes in bytes, counts and switches.
//!
//! Pure functions from text to a value, or to a sentence that says what would have been accepted.

use std::time::Duration;

/// Units of time, longest spelling first where one ends another.
const TIMES: &[(&str, f64)] =
    &[("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Units of size, all of them powers of 1024. `KB` and `MB` mean two things to people, so they mean none here.
const SIZES: &[(&str, u32)] = &[
    ("KiB", 10),
    ("MiB", 20),
    ("GiB", 30),
    ("TiB", 40),
    ("K", 10),
    ("M", 20),
    ("G", 30),
    ("T", 40),
    ("B", 0),
];

/// A duration: a number with a unit, or seconds, as wasmtime has it. What is too long is the longest that there is.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no duration; write a number and a unit, such as `2s` or `100ms`");
    let (number, unit) = TIMES
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)).filter(|(n, _)| is_number(n)))
        .unwrap_or((text, 1.0));
    if !is_number(number) {
        return Err(expected());
    }
    let seconds: f64 = number.parse().map_err(|_| expected())?;
    // A number has no sign here, so that it can only be too long for any clock.
    Ok(Duration::try_from_secs_f64(seconds * unit).unwrap_or(Duration::MAX))
}

fn is_number(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    text.starts_with(digit) && text.ends_with(digit) && text.chars().all(|c| digit(c) || c == '.')
}

/// A size in bytes: a whole number, perhaps with a unit.
pub fn size(text: &str) -> Result<u64, String> {
    let expected =
        || format!("`{text}` is no size; write a number of bytes, or a number and KiB, MiB, GiB or TiB");
    let (number, shift) =
        SIZES.iter().find_map(|(name, shift)| Some((text.strip_suffix(name)?, *shift))).unwrap_or((text, 0));
    let number = count(number.trim_end()).map_err(|_| expected())?;
    number.checked_mul(1 << shift).ok_or_else(expected)
}

/// A whole number. Underscores may group its digits.
pub fn count(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is no whole number between 0 and {}", u64::MAX);
    // Single underscores may stand between digits.
    if text.split('_').any(|digits| !digits.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(expected());
    }
    text.replace('_', "").parse().map_err(|_| expected())
}

/// A switch.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "y" | "yes" | "true" => Ok(true),
        "n" | "no" | "false" => Ok(false),
        _ => Err(format!("`{text}` is neither `y` nor `n`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_are_seconds_without() {
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7us"), Ok(Duration::from_micros(7)));
        for endless in [u64::MAX.to_string(), format!("{}h", "9".repeat(400))] {
            assert_eq!(duration(&endless), Ok(Duration::MAX));
        }
        for bad in ["", "s", "-1s", "1e3s", "1 s", "inf", "nan", "1x", "1.2.3s", "1.", "1.s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024_and_never_wrap() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("1_000"), Ok(1000));
        assert_eq!(size("0"), Ok(0));
        for bad in ["", "MiB", "64MB", "-1", "1_", "1__0", "_1", "1.5GiB", "18446744073709551615KiB", "0x10"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn switches_are_yes_or_no() {
        assert_eq!(switch("y"), Ok(true));
        assert_eq!(switch("false"), Ok(false));
        assert!(switch("1").is_err());
    }
}
