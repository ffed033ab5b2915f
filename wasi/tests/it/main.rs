//! Tests of preview 1 and of the file systems beneath it, all in one program, as each program more would be linked with
//! all of the engine. A test that needs a process to itself starts one, with [`alone`].

#[path = "../../../engine/tests/it/common/alone.rs"]
mod alone;
mod common;
mod vfs_common;

mod examples;
mod guests;
mod p1_fd;
mod p1_few_descriptors;
mod p1_io;
mod p1_leaks;
mod p1_limits;
mod p1_path;
mod p1_pointers;
mod p1_poll;
mod p1_process;
mod p1_readdir;
mod p1_sock;
mod p1_stdio;
mod threads;
mod threads_few_descriptors;
mod vfs_escape;
mod vfs_files;
mod vfs_model;
mod vfs_race;
mod vfs_readonly;
