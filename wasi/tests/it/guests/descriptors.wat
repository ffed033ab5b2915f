;; Functions that C libraries do not call, on a file, a directory and standard streams.
;;
;; The body of a module: `calls.rs` puts the imports, the memory and `$note` in front of it. Each result is noted.

(data (i32.const 0) "f")
(data (i32.const 8) "d")
(data (i32.const 16) "fresh")
(data (i32.const 64) "\50\00\00\00\04\00\00\00")  ;; an iovec: 4 bytes at 80
(data (i32.const 80) "text")
;; Results go to 96 (descriptors), 104 (positions, counts), 112 and on (records).

(func $open (param $path i32) (param $len i32) (param $rights i64) (result i32)
  (if (call $path_open (i32.const 3) (i32.const 0) (local.get $path) (local.get $len) (i32.const 0)
    (local.get $rights) (local.get $rights) (i32.const 0) (i32.const 96)) (then unreachable))
  (i32.load (i32.const 96)))

(func (export "_start") (local $f i32) (local $g i32) (local $d i32)
  (local.set $f (call $open (i32.const 0) (i32.const 1) (i64.const 0x1fffffff)))
  (local.set $d (call $open (i32.const 8) (i32.const 1) (i64.const 0)))

  ;; Positions.
  (call $note (call $fd_seek (local.get $f) (i64.const 7) (i32.const 0) (i32.const 104)))
  (call $note (call $fd_tell (local.get $f) (i32.const 104)))
  (call $note (i32.load (i32.const 104)))
  (call $note (call $fd_tell (local.get $d) (i32.const 104)))
  (call $note (call $fd_tell (i32.const 1) (i32.const 104)))
  (call $note (call $fd_tell (i32.const 77) (i32.const 104)))
  (call $note (call $fd_seek (local.get $f) (i64.const 0) (i32.const 3) (i32.const 104)))
  (call $note (call $fd_seek (local.get $d) (i64.const 0) (i32.const 0) (i32.const 104)))

  ;; Hints: each that there is, one that there is not, and where there is nothing to hint at.
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 0) (i32.const 0)))
  (call $note (call $fd_advise (local.get $f) (i64.const 5) (i64.const 1) (i32.const 1)))
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 9) (i32.const 2)))
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 9) (i32.const 3)))
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 9) (i32.const 4)))
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 9) (i32.const 5)))
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 9) (i32.const 6)))
  (call $note (call $fd_advise (local.get $f) (i64.const 0) (i64.const 9) (i32.const -1)))
  (call $note (call $fd_advise (local.get $d) (i64.const 0) (i64.const 9) (i32.const 0)))
  (call $note (call $fd_advise (i32.const 1) (i64.const 0) (i64.const 9) (i32.const 0)))
  (call $note (call $fd_allocate (local.get $f) (i64.const 0) (i64.const 16)))
  (call $note (call $fd_allocate (local.get $d) (i64.const 0) (i64.const 16)))
  (call $note (call $fd_allocate (i32.const 1) (i64.const 0) (i64.const 16)))
  (call $note (call $fd_filestat_get (local.get $f) (i32.const 112)))
  (call $note (i32.load (i32.const 144)))

  ;; Flags: what can change, what cannot, what is no flag.
  (call $note (call $fd_fdstat_set_flags (local.get $f) (i32.const 5)))
  (call $note (call $fd_fdstat_get (local.get $f) (i32.const 112)))
  (call $note (i32.load16_u (i32.const 114)))
  (call $note (call $fd_fdstat_set_flags (local.get $f) (i32.const 16)))
  (call $note (call $fd_fdstat_set_flags (local.get $f) (i32.const 32)))
  (call $note (call $fd_fdstat_set_flags (local.get $f) (i32.const 0)))

  ;; Rights: fewer, never more, and those for reading and writing count.
  (call $note (call $fd_fdstat_set_rights (local.get $f) (i64.const 0x24) (i64.const 0)))
  (call $note (call $fd_fdstat_set_rights (local.get $f) (i64.const 0x26) (i64.const 0)))
  (call $note (call $fd_fdstat_get (local.get $f) (i32.const 112)))
  (call $note (i32.load (i32.const 120)))
  (call $note (call $fd_read (local.get $f) (i32.const 64) (i32.const 1) (i32.const 104)))
  (call $note (call $fd_write (local.get $f) (i32.const 64) (i32.const 1) (i32.const 104)))
  (call $note (call $fd_filestat_set_size (local.get $f) (i64.const 0)))
  (call $note (call $fd_tell (local.get $f) (i32.const 104)))
  (call $note (call $fd_fdstat_set_rights (local.get $f) (i64.const 0) (i64.const 0)))
  (call $note (call $fd_tell (local.get $f) (i32.const 104)))
  (call $note (call $fd_seek (local.get $f) (i64.const 0) (i32.const 0) (i32.const 104)))
  ;; What a directory cannot hand on, nothing opened from it has; and without its right, nothing is cut.
  (call $note (call $fd_fdstat_set_rights (local.get $d) (i64.const 0x2000) (i64.const 0x2)))
  (call $note (call $path_open (local.get $d) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 8)
    (i64.const 0x42) (i64.const 0) (i32.const 0) (i32.const 96)))
  (call $note (call $fd_fdstat_set_rights (local.get $d) (i64.const 0x4000) (i64.const 0x2)))

  ;; Links: a link itself is linked, so following one is not to be had.
  (call $note (call $path_link (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1)
    (i32.const 3) (i32.const 16) (i32.const 5)))
  (call $note (call $path_link (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 1)
    (i32.const 3) (i32.const 16) (i32.const 4)))
  (call $note (call $path_link (i32.const 3) (i32.const 2) (i32.const 0) (i32.const 1)
    (i32.const 3) (i32.const 16) (i32.const 4)))
  (call $note (call $path_link (local.get $f) (i32.const 0) (i32.const 0) (i32.const 1)
    (i32.const 3) (i32.const 16) (i32.const 4)))

  ;; Synchronizing what can be and what cannot.
  (call $note (call $fd_sync (local.get $f)))
  (call $note (call $fd_datasync (local.get $f)))
  (call $note (call $fd_sync (i32.const 1)))
  (call $note (call $fd_datasync (i32.const 77)))

  ;; Numbers: moved, the target closed, the source free, the lowest free number used.
  (local.set $f (call $open (i32.const 0) (i32.const 1) (i64.const 0x42)))
  (local.set $g (call $open (i32.const 0) (i32.const 1) (i64.const 0x2)))
  (call $note (call $fd_seek (local.get $f) (i64.const 3) (i32.const 0) (i32.const 104)))
  (call $note (call $fd_renumber (local.get $f) (local.get $g)))
  (call $note (call $fd_close (local.get $f)))
  (call $note (call $fd_tell (local.get $g) (i32.const 104)))
  (call $note (i32.load (i32.const 104)))
  (call $note (call $fd_renumber (local.get $g) (local.get $g)))
  (call $note (call $fd_renumber (local.get $g) (i32.const 900)))
  (call $note (call $fd_renumber (i32.const 900) (local.get $g)))
  (call $note (call $fd_renumber (i32.const -1) (i32.const -1)))
  (call $note (call $fd_renumber (local.get $g) (i32.const -1)))
  (call $note (i32.eq (local.get $f) (call $open (i32.const 0) (i32.const 1) (i64.const 0x2))))
  ;; Over a standard stream, and over the preopened directory: its name goes with it.
  (call $note (call $fd_renumber (local.get $g) (i32.const 2)))
  (call $note (call $fd_write (i32.const 2) (i32.const 64) (i32.const 1) (i32.const 104)))
  (call $note (call $fd_prestat_get (i32.const 3) (i32.const 112)))
  (call $note (call $fd_renumber (i32.const 2) (i32.const 3)))
  (call $note (call $fd_prestat_get (i32.const 3) (i32.const 112)))
  (call $note (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 1)))
  (call $note (call $fd_write (i32.const 2) (i32.const 64) (i32.const 1) (i32.const 104)))
  (call $note (call $fd_pread (i32.const 3) (i32.const 64) (i32.const 1) (i64.const 3) (i32.const 104)))
  (call $note (i32.eq (i32.load (i32.const 80)) (i32.const 0x74786574)))
  (call $note (call $fd_close (i32.const 3)))
  (call $note (call $fd_close (i32.const 3)))

  ;; What is left.
  (call $note (call $proc_raise (i32.const 6)))
  (call $note (call $proc_raise (i32.const -1)))
  (call $note (call $sched_yield))
  (call $sock))

;; On nothing, on a file's and on a standard stream's number.
(func $sock
  (call $note (call $sock_recv (i32.const 77) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 104) (i32.const 112)))
  (call $note (call $sock_recv (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 104) (i32.const 112)))
  (call $note (call $sock_send (i32.const 77) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 104)))
  (call $note (call $sock_send (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 104)))
  (call $note (call $sock_shutdown (i32.const 77) (i32.const 3)))
  (call $note (call $sock_shutdown (i32.const 1) (i32.const 3))))
