//! Values whose type is known elsewhere.

use std::fmt;

/// The bits of a value of any type: the words of two value slots, low half first. What is narrower than 64 bits
/// is zero-extended, a collected reference is in the low half, and null is 0.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct RawValue([u64; 2]);

impl RawValue {
    /// Zero of any number type, and null of any reference type.
    pub const ZERO: RawValue = RawValue([0; 2]);

    /// The value with these words.
    pub const fn from_words(words: [u64; 2]) -> RawValue {
        RawValue(words)
    }

    /// Both words.
    pub const fn words(self) -> [u64; 2] {
        self.0
    }

    /// The low word: all of a value that is no vector.
    pub const fn low(self) -> u64 {
        self.0[0]
    }
}

impl From<u64> for RawValue {
    fn from(low: u64) -> RawValue {
        RawValue([low, 0])
    }
}

impl From<u128> for RawValue {
    fn from(bits: u128) -> RawValue {
        RawValue([bits as u64, (bits >> 64) as u64])
    }
}

impl fmt::Debug for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", u128::from(self.0[1]) << 64 | u128::from(self.0[0]))
    }
}
