//! The host's attributes and timestamps, translated in both directions. Pure but for the last two functions.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::errno::Errno;
use crate::vfs::path::Basename;
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

const NANOS: u64 = 1_000_000_000;

/// What the host's type of a file is here.
pub(crate) fn kind_of(kind: FileType) -> FileKind {
    match kind {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice => FileKind::CharacterDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        _ => FileKind::Unknown,
    }
}

/// The host's attributes in our words. (The widths of the host's fields differ between platforms.)
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::useless_conversion)]
pub(crate) fn stat_of(stat: &Stat) -> FileStat {
    FileStat {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        kind: kind_of(FileType::from_raw_mode(stat.st_mode)),
        nlink: stat.st_nlink as u64,
        size: stat.st_size as u64,
        atim: nanos(stat.st_atime as i64, stat.st_atime_nsec as u64),
        mtim: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
        ctim: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
    }
}

/// Nanoseconds since 1970: 0 before, `u64::MAX` after 2554.
fn nanos(seconds: i64, nanos: u64) -> u64 {
    u64::try_from(seconds).map_or(0, |seconds| seconds.saturating_mul(NANOS).saturating_add(nanos))
}

fn timespec(time: TimeSpec) -> Timespec {
    match time {
        TimeSpec::Omit => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        TimeSpec::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        // At most 2554, which is far below what any field holds; a file system that holds less clamps by itself.
        TimeSpec::At(time) => {
            Timespec { tv_sec: (time / NANOS).try_into().unwrap_or(i64::MAX), tv_nsec: (time % NANOS) as _ }
        }
    }
}

fn timestamps(atim: TimeSpec, mtim: TimeSpec) -> Timestamps {
    Timestamps { last_access: timespec(atim), last_modification: timespec(mtim) }
}

/// Sets the times of what is open as `fd`.
pub(super) fn set_times(fd: BorrowedFd<'_>, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
    Ok(rustix::fs::futimens(fd, &timestamps(atim, mtim))?)
}

/// Sets the times of `name` in `dir`, of a link itself if it is one; without a name, of `dir`, which need not be open
/// for more than going on from it.
pub(super) fn set_times_at(
    dir: BorrowedFd<'_>,
    name: Option<&Basename>,
    atim: TimeSpec,
    mtim: TimeSpec,
) -> Result<(), Errno> {
    let name = name.map_or(&b"."[..], Basename::as_bytes);
    Ok(rustix::fs::utimensat(dir, name, &timestamps(atim, mtim), AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_the_range_clamp() {
        assert_eq!(nanos(-1, 999_999_999), 0);
        assert_eq!(nanos(i64::MIN, 0), 0);
        assert_eq!(nanos(1, 5), NANOS + 5);
        assert_eq!(nanos(i64::MAX, 0), u64::MAX);
    }

    #[test]
    fn a_time_survives_the_round_trip() {
        for time in [0, 1, NANOS - 1, NANOS, u64::MAX] {
            let spec = timespec(TimeSpec::At(time));
            assert_eq!(nanos(spec.tv_sec, spec.tv_nsec as u64), time);
        }
    }
}
