//! Slow paths on objects.
//!
//! Those that make an object may collect: all references of the caller must be where a collection finds them, and those that
//! it holds elsewhere are useless afterwards. In compiled code that is what a safepoint sees to; in tier 0 `ref_top` must be at
//! the end of the frame. What they return is on nobody's stack yet. The others never collect.
//!
//! Null is answered with [`Trap::NullReference`] where an instruction does so.

use super::{charge, poll};
use crate::trap::{Pending, Trap};
use crate::types::object::{ARRAY_LENGTH, ArrayLayout, ObjectLayout, Storage};
use crate::types::table::record;
use crate::vm::barrier::{write_object_ref, wrote_refs};
use crate::vm::context::VmContext;
use crate::vm::exec::ExecContext;
use crate::vm::gc::INLINE;
use crate::vm::gc::shape::Kind;

/// Elements that a bulk operation handles between two polls.
const CHUNK: usize = 4 << 20;

/// A place in an object, by its offset.
///
/// # Safety
/// `exec` is alive, and the object is one of its store with a byte there.
unsafe fn at(exec: *const ExecContext, object: u32, offset: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { (*exec).gc.base.add(object as usize + offset) }
}

/// How objects of the type with this index are laid out.
unsafe fn layout<'l>(ctx: *mut VmContext, type_index: u32) -> &'l ObjectLayout {
    // SAFETY: the callers' promise: a type of objects has a layout, which stays as long as the engine.
    unsafe {
        let record = record((*VmContext::exec(ctx)).types, VmContext::type_id(ctx, type_index));
        record.layout.as_ref().expect("validated: a type of objects")
    }
}

/// How arrays of the type with this index are laid out.
unsafe fn array_layout(ctx: *mut VmContext, type_index: u32) -> ArrayLayout {
    // SAFETY: the callers' promise.
    match unsafe { layout(ctx, type_index) } {
        ObjectLayout::Array(layout) => *layout,
        ObjectLayout::Struct(_) => unreachable!("validated: a type of arrays"),
    }
}

/// Makes an object of the type with this index, of so many bytes.
unsafe fn allocate(ctx: *mut VmContext, type_index: u32, bytes: usize) -> Result<u32, Pending> {
    // SAFETY: the callers' promise.
    unsafe {
        let kind = Kind::of_type(VmContext::type_id(ctx, type_index));
        let exec = VmContext::exec(ctx);
        let words = &raw mut (*exec).gc;
        if bytes <= INLINE && bytes <= ((*words).end - (*words).top) as usize {
            let object = (*words).top;
            (*words).top += bytes as u32;
            let start = (*words).base.add(object as usize);
            start.write_bytes(0, bytes);
            start.cast::<u32>().write(kind.type_id().0);
            return Ok(object);
        }
        let hooks = (*exec).hooks_ptr().ok_or(Trap::GcHeapOutOfMemory)?;
        (*hooks.as_ptr()).allocate(kind, bytes)
    }
}

/// Makes a structure of the type with this index. All of its fields are 0 and null.
///
/// # Errors
/// [`Trap::GcHeapOutOfMemory`], or what the host has to say about it.
///
/// # Safety
/// `ctx` is alive, its guest code is running, and `type_index` is one of its module and of a type of structures. The same
/// holds, with arrays, for the functions below. References are such of the store. See also above.
pub unsafe fn struct_new(ctx: *mut VmContext, type_index: u32) -> Result<u32, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        match layout(ctx, type_index) {
            ObjectLayout::Struct(layout) => allocate(ctx, type_index, layout.bytes as usize),
            ObjectLayout::Array(_) => unreachable!("validated: a type of structures"),
        }
    }
}

/// Makes an exception with a tag of the module. What it carries is 0 and null.
///
/// # Errors
/// As for [`struct_new`].
///
/// # Safety
/// See [`struct_new`].
pub unsafe fn exception_new(ctx: *mut VmContext, tag: u32) -> Result<u32, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let exception = struct_new(ctx, VmContext::module(ctx).tag_type_index(tag))?;
        (*VmContext::exec(ctx)).set_tag_of(exception, VmContext::tag(ctx, tag));
        Ok(exception)
    }
}

/// Makes an array of so many elements of the type with this index. All of them are 0 or null. Pays for as many bytes, as
/// those do who fill or copy some: where fuel is charged, arrays are made by this in every tier.
///
/// # Errors
/// As for [`struct_new`].
///
/// # Safety
/// See [`struct_new`].
pub unsafe fn array_new(ctx: *mut VmContext, type_index: u32, len: u32) -> Result<u32, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let layout = array_layout(ctx, type_index);
        charge(ctx, u64::from(len) * u64::from(layout.storage.bytes()))?;
        let array = allocate(ctx, type_index, layout.bytes(len))?;
        at(VmContext::exec(ctx), array, ARRAY_LENGTH).cast::<u32>().write(len);
        Ok(array)
    }
}

/// The range of elements of an array that starts at `start` and has `len` ones, as offsets; a trap if they are not there.
unsafe fn elements(
    exec: *mut ExecContext,
    layout: ArrayLayout,
    array: u32,
    start: u32,
    len: u32,
) -> Result<(usize, usize), Trap> {
    if array == 0 {
        return Err(Trap::NullReference);
    }
    // SAFETY: the callers' promise.
    let length = unsafe { at(exec, array, ARRAY_LENGTH).cast::<u32>().read() };
    if u64::from(start) + u64::from(len) > u64::from(length) {
        return Err(Trap::ArrayOutOfBounds);
    }
    let size = layout.storage.bytes() as usize;
    Ok((layout.first as usize + start as usize * size, len as usize * size))
}

/// Stores the words of a slot into a field or an element: as many bytes of them as it has.
///
/// # Safety
/// `exec` is alive, and the object one of its store with such a place at `offset`. The value is of its type.
pub(in crate::vm) unsafe fn store(
    exec: *mut ExecContext,
    object: u32,
    offset: usize,
    storage: Storage,
    value: [u64; 2],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let place = at(exec, object, offset);
        match storage {
            Storage::I8 => place.write(value[0] as u8),
            Storage::I16 => place.cast::<u16>().write(value[0] as u16),
            Storage::Word => place.cast::<u32>().write(value[0] as u32),
            Storage::Double | Storage::Function => place.cast::<u64>().write(value[0]),
            Storage::Vector => place.cast::<[u64; 2]>().write(value),
            Storage::Reference => write_object_ref(exec, place.cast(), value[0] as u32),
        }
    }
}

/// `array.fill`: the words of `value` are those of a slot, and as many bytes of them as an element has are stored.
///
/// # Errors
/// Null, elements that are not there, or what a poll has to say.
///
/// # Safety
/// See [`struct_new`]; the value is of the type of the elements.
pub unsafe fn array_fill(
    ctx: *mut VmContext,
    type_index: u32,
    array: u32,
    start: u32,
    value: [u64; 2],
    len: u32,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let layout = array_layout(ctx, type_index);
        let exec = VmContext::exec(ctx);
        let (first, bytes) = elements(exec, layout, array, start, len)?;
        charge(ctx, bytes as u64)?;
        let mut done = 0;
        while done < len as usize {
            let count = CHUNK.min(len as usize - done);
            let to = at(exec, array, first + done * layout.storage.bytes() as usize);
            match layout.storage {
                Storage::I8 => to.write_bytes(value[0] as u8, count),
                Storage::I16 => fill(to, value[0] as u16, count),
                Storage::Word => fill(to, value[0] as u32, count),
                Storage::Double | Storage::Function => fill(to, value[0], count),
                Storage::Vector => fill(to, value, count),
                Storage::Reference => {
                    fill(to, value[0] as u32, count);
                    wrote_refs(exec, to, 4 * count);
                }
            }
            done += count;
            poll(exec)?;
        }
        Ok(())
    }
}

/// Stores a value `count` times. Elements of sixteen bytes are aligned to eight.
unsafe fn fill<T: Copy>(to: *mut u8, value: T, count: usize) {
    // SAFETY: the caller has room for so many.
    unsafe {
        for i in 0..count {
            to.cast::<T>().add(i).write(value);
        }
    }
}

/// `array.copy`. `type_index` is that of the destination; elements of the source are stored in the same way.
///
/// # Errors
/// As for [`array_fill`].
///
/// # Safety
/// See [`struct_new`].
pub unsafe fn array_copy(
    ctx: *mut VmContext,
    type_index: u32,
    to_array: u32,
    to: u32,
    from_array: u32,
    from: u32,
    len: u32,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let layout = array_layout(ctx, type_index);
        let exec = VmContext::exec(ctx);
        let (target, bytes) = elements(exec, layout, to_array, to, len)?;
        let (source, _) = elements(exec, layout, from_array, from, len)?;
        charge(ctx, bytes as u64)?;
        // In chunks from the end that keeps an overlapping copy right.
        let upwards = to_array != from_array || to <= from;
        let mut done = 0;
        while done < bytes {
            let chunk = CHUNK.min(bytes - done);
            let offset = if upwards { done } else { bytes - done - chunk };
            let place = at(exec, to_array, target + offset);
            std::ptr::copy(at(exec, from_array, source + offset), place, chunk);
            // Now, as the poll may be the end.
            if layout.storage == Storage::Reference {
                wrote_refs(exec, place, chunk);
            }
            done += chunk;
            poll(exec)?;
        }
        Ok(())
    }
}

/// Where elements start in the bytes of a data segment, if there are so many.
unsafe fn in_data(ctx: *mut VmContext, segment: u32, from: u32, bytes: u64) -> Result<*const u8, Trap> {
    // SAFETY: the callers' promise.
    let data = unsafe { (*VmContext::instance(ctx)).data(segment) };
    if u64::from(from) + bytes > data.len() as u64 {
        return Err(Trap::MemoryOutOfBounds);
    }
    Ok(data[from as usize..].as_ptr())
}

/// `array.new_data`.
///
/// # Errors
/// [`Trap::MemoryOutOfBounds`] if the segment has not so many bytes, or as for [`struct_new`].
///
/// # Safety
/// See [`struct_new`]; `segment` is a data segment of the module.
pub unsafe fn array_new_data(
    ctx: *mut VmContext,
    type_index: u32,
    segment: u32,
    from: u32,
    len: u32,
) -> Result<u32, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let size = array_layout(ctx, type_index).storage.bytes();
        in_data(ctx, segment, from, u64::from(len) * u64::from(size))?;
        let array = array_new(ctx, type_index, len)?;
        array_init_data(ctx, type_index, segment, array, 0, from, len)?;
        Ok(array)
    }
}

/// `array.init_data`.
///
/// # Errors
/// As for [`array_fill`], or [`Trap::MemoryOutOfBounds`] if the segment has not so many bytes.
///
/// # Safety
/// See [`array_new_data`].
pub unsafe fn array_init_data(
    ctx: *mut VmContext,
    type_index: u32,
    segment: u32,
    array: u32,
    to: u32,
    from: u32,
    len: u32,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let layout = array_layout(ctx, type_index);
        let exec = VmContext::exec(ctx);
        let (target, bytes) = elements(exec, layout, array, to, len)?;
        let source = in_data(ctx, segment, from, bytes as u64)?;
        charge(ctx, bytes as u64)?;
        // Numbers in the heap are in the order of bytes of the machine, which is that of the segment.
        const { assert!(cfg!(target_endian = "little")) }
        at(exec, array, target).copy_from_nonoverlapping(source, bytes);
        poll(exec)
    }
}

/// `array.new_elem`.
///
/// # Errors
/// [`Trap::TableOutOfBounds`] if the segment has not so many elements, or as for [`struct_new`].
///
/// # Safety
/// See [`struct_new`]; `segment` is an element segment of the module, of the type of the elements.
pub unsafe fn array_new_elem(
    ctx: *mut VmContext,
    type_index: u32,
    segment: u32,
    from: u32,
    len: u32,
) -> Result<u32, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        in_elements(ctx, segment, from, len)?;
        let array = array_new(ctx, type_index, len)?;
        array_init_elem(ctx, type_index, segment, array, 0, from, len)?;
        Ok(array)
    }
}

unsafe fn in_elements(ctx: *mut VmContext, segment: u32, from: u32, len: u32) -> Result<(), Trap> {
    // SAFETY: the callers' promise.
    let available = unsafe { (*VmContext::instance(ctx)).elements().len(ctx, segment) };
    if u64::from(from) + u64::from(len) > available as u64 {
        return Err(Trap::TableOutOfBounds);
    }
    Ok(())
}

/// `array.init_elem`.
///
/// # Errors
/// As for [`array_fill`], or [`Trap::TableOutOfBounds`] if the segment has not so many elements.
///
/// # Safety
/// See [`array_new_elem`].
pub unsafe fn array_init_elem(
    ctx: *mut VmContext,
    type_index: u32,
    segment: u32,
    array: u32,
    to: u32,
    from: u32,
    len: u32,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let layout = array_layout(ctx, type_index);
        let exec = VmContext::exec(ctx);
        let (target, bytes) = elements(exec, layout, array, to, len)?;
        in_elements(ctx, segment, from, len)?;
        charge(ctx, bytes as u64)?;
        let range = from as usize..from as usize + len as usize;
        let mut place = at(exec, array, target);
        (*VmContext::instance(ctx)).elements().for_each(ctx, segment, range, |word| {
            if layout.storage == Storage::Reference {
                write_object_ref(exec, place.cast(), word as u32);
            } else {
                place.cast::<u64>().write(word);
            }
            place = place.add(layout.storage.bytes() as usize);
        });
        poll(exec)
    }
}
