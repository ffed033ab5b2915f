//! Initial contents of a module's memories, laid out so that an instance can map them.
//!
//! The first instance of a module copies its data segments. From the second one on they are mapped
//! copy-on-write from a memfd, when the segments have constant offsets and lie inside the initial memory:
//! a program that is run once pays nothing for a sharing that never comes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::declarations::{Declarations, SegmentMode};
use crate::vm::{ImageFile, inside, offset_of};

/// Images larger than this are copied like the first instance's: a sparse module would otherwise need an
/// image file of up to 4 GiB.
const MAX_IMAGE: usize = 256 << 20;

/// The initial contents of one memory.
#[derive(Debug)]
pub(crate) struct MemoryImage {
    /// Page-aligned offset in the memory at which the file is mapped.
    pub(crate) offset: usize,
    /// The contents, padded to whole pages.
    pub(crate) file: ImageFile,
}

/// The images of a module's memories, and whether they are worth having yet.
#[derive(Debug, Default)]
pub(crate) struct Images {
    built: OnceLock<Vec<Option<MemoryImage>>>,
    instantiations: AtomicU32,
}

impl Images {
    /// The images for one more instance, from the second one on. `None` for a memory without one; the whole
    /// answer is `None` when segments must be applied one by one.
    pub(crate) fn of_next_instance(
        &self,
        declared: &Declarations,
        bytes: &[u8],
    ) -> Option<&[Option<MemoryImage>]> {
        if self.instantiations.fetch_add(1, Ordering::Relaxed) == 0 {
            return None;
        }
        let images = self.built.get_or_init(|| build(declared, bytes).unwrap_or_default());
        (!images.is_empty()).then_some(images)
    }
}

fn build(declared: &Declarations, bytes: &[u8]) -> Option<Vec<Option<MemoryImage>>> {
    let imported = declared.imported_memories.len();
    let mut segments: Vec<Vec<(usize, &[u8])>> = vec![Vec::new(); declared.memories.len()];
    for segment in &declared.data {
        let SegmentMode::Active { target, offset } = &segment.mode else { continue };
        // Segments of an imported memory, or at an offset that depends on one, are applied in order.
        let memory = (*target as usize).checked_sub(imported)?;
        let ty = declared.memories[memory];
        // What threads share is no private mapping.
        if ty.is_shared() {
            return None;
        }
        let offset = offset_of(offset.as_value()?, ty.is_64());
        let data = &bytes[segment.data.clone()];
        let offset = inside(offset, data.len() as u64, ty.bytes(ty.minimum())?)?.start;
        if !data.is_empty() {
            segments[memory].push((offset, data));
        }
    }
    segments.into_iter().map(|s| if s.is_empty() { Some(None) } else { image(&s).map(Some) }).collect()
}

fn image(segments: &[(usize, &[u8])]) -> Option<MemoryImage> {
    let page = region::page::size();
    let start = segments.iter().map(|(offset, _)| *offset).min()? / page * page;
    let end = segments.iter().map(|(offset, data)| offset + data.len()).max()?.next_multiple_of(page);
    if end - start > MAX_IMAGE {
        return None;
    }
    let mut contents = Vec::new();
    contents.try_reserve_exact(end - start).ok()?;
    contents.resize(end - start, 0);
    for (offset, data) in segments {
        contents[offset - start..][..data.len()].copy_from_slice(data);
    }
    Some(MemoryImage { offset: start, file: ImageFile::new(&contents)? })
}
