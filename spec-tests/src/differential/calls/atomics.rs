//! Atomic instructions, of one thread: what they do is known, and so is how waits end. Who waits for a value that is not
//! there does not, and who waits for one that is there is woken by nobody, and has not long to wait.

use super::super::Type::{self, I32, I64};
use super::{Body, Generator, name};

/// Nanoseconds that may be waited.
const TIMES: [u32; 4] = [0, 1, 700, 3000];

impl Generator {
    /// An address that is aligned, nearly always.
    fn aligned(&mut self, body: &mut Body, depth: u32) -> String {
        let value = self.value(body, I32, depth);
        match self.below(80) {
            0 => value,
            _ => format!(" (i32.and{value} (i32.const {}))", self.one(&[0xf8, 0xff8, 0x7ff8])),
        }
    }

    fn offset(&mut self) -> &'static str {
        self.one(&["", "", " offset=8", " offset=1000"])
    }

    /// An atomic instruction that has a result of a type.
    pub(super) fn atomic(&mut self, body: &mut Body, ty: Type, depth: u32) -> String {
        let ty_name = name(ty);
        let (address, offset) = (self.aligned(body, depth), self.offset());
        let narrow = match ty {
            I32 => self.one(&["", "", "8", "16"]),
            _ => self.one(&["", "", "8", "16", "32"]),
        };
        let suffix = if narrow.is_empty() { "" } else { "_u" };
        match self.below(8) {
            0..2 => format!(" ({ty_name}.atomic.load{narrow}{suffix}{offset}{address})"),
            2 => {
                let values = self.values(body, &[ty, ty], depth);
                format!(" ({ty_name}.atomic.rmw{narrow}.cmpxchg{suffix}{offset}{address}{values})")
            }
            3 if ty == I32 => {
                format!(" (memory.atomic.notify{offset}{address}{})", self.value(body, I32, depth))
            }
            // Of a memory that is not shared, this traps.
            4..6 if ty == I32 && (self.shared || self.once_in(60)) => self.wait(body, depth),
            _ => {
                let op = self.one(&["add", "sub", "and", "or", "xor", "xchg"]);
                let value = self.value(body, ty, depth);
                format!(" ({ty_name}.atomic.rmw{narrow}.{op}{suffix}{offset}{address}{value})")
            }
        }
    }

    fn wait(&mut self, body: &mut Body, depth: u32) -> String {
        let (bits, ty) = self.one(&[("32", I32), ("64", I64)]);
        let time = self.one(&TIMES);
        let (address, expected) = match body.turns <= 60 && self.once_in(2) {
            true => {
                let address = format!(" (i32.const {})", 8 * self.below(40));
                let load = format!(" ({}.atomic.load{address})", name(ty));
                (address, load)
            }
            false => (self.aligned(body, depth), self.value(body, ty, depth)),
        };
        format!(" (memory.atomic.wait{bits}{address}{expected} (i64.const {time}))")
    }

    /// An atomic instruction without results.
    pub(super) fn atomic_statement(&mut self, body: &mut Body) -> String {
        let ty = self.one(&[I32, I64]);
        let narrow = if ty == I32 { self.one(&["", "8", "16"]) } else { self.one(&["", "8", "16", "32"]) };
        let (address, offset) = (self.aligned(body, 1), self.offset());
        let value = self.value(body, ty, 2);
        match self.below(6) {
            0 => "(atomic.fence)".to_string(),
            _ => format!("({}.atomic.store{narrow}{offset}{address}{value})", name(ty)),
        }
    }
}
