//! What the relaxed SIMD instructions do where the specification leaves a choice.
//!
//! A choice is made once for an engine, and both tiers keep to it: a guest must not see its results change when a
//! function becomes compiled code. Each tier has its own semantics for each choice.

/// A choice for all relaxed instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relaxed {
    /// That of the specification's deterministic profile: the same on every machine.
    #[default]
    Deterministic,
    /// What single instructions of x86-64 with SSE 4.1 do: `pshufb` (the low four bits of an index below 128 select),
    /// `cvttps2dq` and `cvttpd2dq` (what is out of range, or NaN, becomes the smallest integer), `pblendvb`, `blendvps`
    /// and `blendvpd` (the top bit of each mask lane selects, and that of each byte in lanes of 16 bits), `minps` and
    /// `maxps` (the second operand when one is NaN or both are zero), `pmulhrsw` (the product of two smallest integers
    /// is the smallest one), `pmaddubsw` with its operands in the other order (the first
    /// operand's lanes times the second's taken as unsigned, saturated).
    X86 {
        /// Whether `a * b + c` is rounded once, as the instructions of the extension FMA do, or twice.
        fma: bool,
    },
}

impl Relaxed {
    /// The fastest choice on this machine.
    pub fn fastest() -> Relaxed {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("sse4.1") {
            return Relaxed::X86 { fma: is_x86_feature_detected!("fma") };
        }
        Relaxed::Deterministic
    }
}
