//! Types of linear memories.

use super::Limits;

/// The type of a linear memory. Limits are in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryType {
    /// Size limits in pages.
    pub limits: Limits,
    is_64: bool,
    is_shared: bool,
    page_size_log2: u8,
}

/// A memory type that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMemoryType {
    /// Pages of a size that is not allowed.
    #[error("pages have 1 or 65536 bytes, and not 2^{0}")]
    PageSize(u8),
    /// The limits pass what addresses reach, or the maximum is less than the minimum.
    #[error("there can be no memory of {minimum} to {maximum} pages: the most is {most}")]
    Limits {
        /// Pages at creation.
        minimum: u64,
        /// Pages that growth may not pass; without one, those that addresses reach.
        maximum: u64,
        /// Pages that addresses reach.
        most: u64,
    },
    /// Threads share it, and it may grow without an end: what they share must not move.
    #[error("a memory that threads share needs a maximum")]
    SharedWithoutMaximum,
}

impl MemoryType {
    /// Bytes in a page, unless the type says something else.
    pub const PAGE: usize = 1 << MemoryType::PAGE_LOG2;

    /// The logarithm of that to the base 2.
    pub const PAGE_LOG2: u8 = 16;

    /// A memory of `min` to `max` pages, with addresses of 32 bits.
    pub fn new(min: u32, max: Option<u32>) -> MemoryType {
        let limits = Limits { min: min.into(), max: max.map(u64::from) };
        MemoryType { limits, is_64: false, is_shared: false, page_size_log2: MemoryType::PAGE_LOG2 }
    }

    /// A memory of `min` to `max` pages, with addresses of 64 bits.
    pub fn new64(min: u64, max: Option<u64>) -> MemoryType {
        MemoryType { is_64: true, limits: Limits { min, max }, ..MemoryType::new(0, None) }
    }

    /// A memory of `min` to `max` pages that threads share, with addresses of 32 bits.
    pub fn shared(min: u32, max: u32) -> MemoryType {
        MemoryType { is_shared: true, ..MemoryType::new(min, Some(max)) }
    }

    /// Makes one from more than that.
    pub fn builder() -> MemoryTypeBuilder {
        MemoryTypeBuilder::new()
    }

    /// Size at creation, in pages.
    pub fn minimum(&self) -> u64 {
        self.limits.min
    }

    /// Size that growth may not pass, in pages.
    pub fn maximum(&self) -> Option<u64> {
        self.limits.max
    }

    /// Whether its addresses have 64 bits.
    pub fn is_64(&self) -> bool {
        self.is_64
    }

    /// Whether threads share it.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_size_log2
    }

    /// The logarithm of that to the base 2.
    pub fn page_size_log2(&self) -> u8 {
        self.page_size_log2
    }

    /// The most pages that addresses reach, and that an address can count.
    pub fn most_pages(&self) -> u64 {
        let (bits, all) = if self.is_64 { (64, u64::MAX) } else { (32, u64::from(u32::MAX)) };
        match self.page_size_log2 {
            0 => all,
            log2 => 1 << (bits - log2),
        }
    }

    /// So many pages in bytes, if that is a number of bytes that a process can have.
    pub fn bytes(&self, pages: u64) -> Option<usize> {
        let bytes = pages.checked_mul(self.page_size())?;
        isize::try_from(bytes).ok().map(isize::cast_unsigned)
    }

    /// Whether there are such memories.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), InvalidMemoryType> {
        if !matches!(self.page_size_log2, 0 | MemoryType::PAGE_LOG2) {
            return Err(InvalidMemoryType::PageSize(self.page_size_log2));
        }
        let (minimum, most) = (self.limits.min, self.most_pages());
        let maximum = self.limits.max.unwrap_or(most);
        if minimum > maximum || maximum > most {
            return Err(InvalidMemoryType::Limits { minimum, maximum, most });
        }
        if self.is_shared && self.limits.max.is_none() {
            return Err(InvalidMemoryType::SharedWithoutMaximum);
        }
        Ok(())
    }
}

/// Makes a [`MemoryType`]. Without further words it is one of no pages and no maximum, whose addresses have 32 bits
/// and whose pages 64 KiB.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct MemoryTypeBuilder(MemoryType);

impl Default for MemoryTypeBuilder {
    fn default() -> MemoryTypeBuilder {
        MemoryTypeBuilder(MemoryType::new(0, None))
    }
}

impl MemoryTypeBuilder {
    /// Nothing has been said so far.
    pub fn new() -> MemoryTypeBuilder {
        MemoryTypeBuilder::default()
    }

    /// Size at creation, in pages.
    pub fn min(mut self, pages: u64) -> MemoryTypeBuilder {
        self.0.limits.min = pages;
        self
    }

    /// Size that growth may not pass, in pages.
    pub fn max(mut self, pages: Option<u64>) -> MemoryTypeBuilder {
        self.0.limits.max = pages;
        self
    }

    /// Whether addresses have 64 bits.
    pub fn memory64(mut self, is_64: bool) -> MemoryTypeBuilder {
        self.0.is_64 = is_64;
        self
    }

    /// Whether threads share it; then it has a maximum.
    pub fn shared(mut self, is_shared: bool) -> MemoryTypeBuilder {
        self.0.is_shared = is_shared;
        self
    }

    /// The logarithm of a page's size to the base 2: 16, or 0 for pages of one byte.
    pub fn page_size_log2(mut self, log2: u8) -> MemoryTypeBuilder {
        self.0.page_size_log2 = log2;
        self
    }

    /// The type.
    ///
    /// # Errors
    /// There is no such type.
    pub fn build(self) -> Result<MemoryType, InvalidMemoryType> {
        self.0.check().map(|()| self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_types_are_bounded_by_what_their_addresses_reach() {
        let build = |log2, is_64, min, max| {
            let builder = MemoryType::builder().page_size_log2(log2).memory64(is_64);
            builder.min(min).max(max).build()
        };
        assert_eq!(build(16, false, 1, Some(65536)), Ok(MemoryType::new(1, Some(65536))));
        assert_eq!(build(16, true, 1, Some(1 << 48)), Ok(MemoryType::new64(1, Some(1 << 48))));
        assert!(build(16, false, 65537, None).is_err() && build(16, true, (1 << 48) + 1, None).is_err());
        assert!(build(16, false, 0, Some(65537)).is_err() && build(16, true, 2, Some(1)).is_err());
        assert!(build(0, false, u32::MAX.into(), None).is_ok() && build(0, false, 1 << 32, None).is_err());
        assert!(build(0, true, u64::MAX, Some(u64::MAX)).is_ok());
        assert_eq!(build(12, false, 0, None), Err(InvalidMemoryType::PageSize(12)));
    }
}
