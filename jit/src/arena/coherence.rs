//! When other cores may run bytes that were just written.
//!
//! x86-64 keeps instruction fetch coherent with stores, but for one case: where code is written through another
//! linear address than it is fetched from, each core has to serialise before it runs the new bytes (Intel SDM
//! volume 3, "Self-Modifying Code"). Addresses that never held code before need no care: nobody has fetched
//! them. Reused ones get a `membarrier`, which makes every running thread of the process serialise. Called by
//! the arena between writing a blob and handing it out.

#[cfg(test)]
thread_local! {
    /// How often this thread has called [`serialise_cores`].
    pub(super) static CALLS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Makes every other core forget what it fetched earlier.
///
/// Where the system has no such call or refuses it, the store itself must do: processors of today snoop fetched
/// lines by physical address, and engines without this call have relied on that for decades.
pub(super) fn serialise_cores() {
    /// From `linux/membarrier.h`.
    const PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 5;
    const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 6;

    #[cfg(test)]
    CALLS.set(CALLS.get() + 1);
    // SAFETY: membarrier takes a command, flags and a processor number, and touches no memory of ours.
    let membarrier =
        |command: libc::c_int| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0;
    // Registered at the first use: a process that never reuses code memory never pays for it. Where there are threads already the
    // system waits until each processor has gone through its scheduler, ten or twenty milliseconds.
    if !membarrier(PRIVATE_EXPEDITED_SYNC_CORE) && membarrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) {
        membarrier(PRIVATE_EXPEDITED_SYNC_CORE);
    }
}
