//! What a return address points at when it is not simply the code behind a call within one instance.
//!
//! Handlers and walkers of frames compare return addresses and the opcodes there with these. The opcodes are the first of the
//! table, which checks that; so is one that is written over another while code runs.

/// The opcode of [`Restore`](crate::ops::call::Restore).
pub(crate) const RESTORE: u16 = 0;

/// The opcode of [`Exit`](crate::ops::call::Exit).
pub(crate) const EXIT: u16 = 1;

/// The opcode of [`AfterTail`](crate::ops::tail_call::AfterTail).
pub(crate) const AFTER_TAIL: u16 = 2;

/// The opcode of [`RefLeave`](crate::ops::reference::RefLeave).
pub(crate) const REF_LEAVE: u16 = 3;

/// The opcode of [`Look`](crate::ops::compiled::Look), which is put in front of a loop that there is compiled code for.
pub(crate) const LOOK: u16 = 4;

/// Slots of a frame that stands in for a caller: return address, context, number of result slots.
pub(crate) const STAND_IN_SLOTS: usize = 3;

/// What the outermost frame returns to: an exit, with a distance of 0 before it.
pub(crate) fn exit() -> *const u8 {
    static CODE: [u16; 2] = [0, EXIT];
    CODE.as_ptr().wrapping_add(1).cast()
}

/// What the outermost frame of a segment returns to that compiled code has entered.
pub(crate) fn exit_to_compiled() -> *const u8 {
    // The word before the distance is nobody's: it keeps this from being merged with the other exit.
    static CODE: [u16; 3] = [u16::MAX, 0, EXIT];
    CODE.as_ptr().wrapping_add(2).cast()
}

/// Whether nothing of its segment is below the frame that returns to `address`.
pub(crate) fn is_exit(address: *const u8) -> bool {
    address == exit() || address == exit_to_compiled()
}

/// What the frame above a stand-in returns to, with the size of a stand-in before it.
pub(crate) fn after_tail() -> *const u8 {
    static CODE: [u16; 2] = [STAND_IN_SLOTS as u16, AFTER_TAIL];
    CODE.as_ptr().wrapping_add(1).cast()
}
