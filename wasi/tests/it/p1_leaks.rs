//! Nothing of the host stays behind. Alone in its process, because it counts the descriptors of the process.

use crate::alone::alone;
use crate::common::{Guest, ROOT, RW};
use wasmrun_wasi::abi::{Call, oflags};

fn host_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn descriptors_of_the_host_live_as_long_as_those_of_the_guest() {
    alone("descriptors_of_the_host_live_as_long_as_those_of_the_guest", || {
        let dir = tempfile::tempdir().unwrap();
        let before = host_descriptors();
        let mut guest = Guest::with_dir(dir.path());
        guest.create("f", b"");
        guest.mkdir("d").unwrap();
        let opened = host_descriptors();
        for round in 0..100 {
            guest.free_all();
            let file = guest.open("f", 0, RW).unwrap();
            let dir = guest.open("d", oflags::DIRECTORY, 0).unwrap();
            assert_eq!((file, dir), (ROOT + 1, ROOT + 2));
            guest.readdir(dir, 100, 0).unwrap();
            // Failing opens, and a renumbering that closes what was there.
            assert!(guest.open("missing", 0, RW).is_err());
            assert!(guest.open("f", oflags::DIRECTORY, 0).is_err());
            assert!(guest.open_with(dir, 0, "../../x", oflags::CREAT, RW, 0).is_err());
            guest.errno(Call::fd_renumber, &[file.into(), dir.into()]).unwrap();
            guest.close(dir).unwrap();
            assert_eq!(host_descriptors(), opened, "round {round}");
        }
        guest.open("f", 0, RW).unwrap();
        drop(guest);
        assert_eq!(host_descriptors(), before);
    });
}
