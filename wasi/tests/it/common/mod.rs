//! A guest without an engine: a context, a memory of two pages, and the calls of preview 1 as a program would make them.
//!
//! Used by all `p1_*` tests. Each helper lays its arguments out in guest memory, calls, and reads the results back.

use std::path::Path;
use wasmrun_wasi::abi::{Call, oflags, rights};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Errno, Fault, GuestMem, Outcome, WasiBuilder, WasiCtx, p1};

pub const MEMORY: u32 = 2 * 65536;
pub const READ: u64 = rights::FD_READ;
pub const WRITE: u64 = rights::FD_WRITE;
pub const RW: u64 = READ | WRITE;
/// The first preopened directory.
pub const ROOT: u32 = 3;

pub struct Guest {
    pub ctx: WasiCtx,
    pub memory: Vec<u8>,
    next: u32,
}

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Filestat {
    pub dev: u64,
    pub ino: u64,
    pub filetype: u8,
    pub nlink: u64,
    pub size: u64,
    pub times: [u64; 3],
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Fdstat {
    pub filetype: u8,
    pub flags: u16,
    pub rights: u64,
    pub inheriting: u64,
}

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Entry {
    pub next: u64,
    pub ino: u64,
    pub filetype: u8,
    pub name: String,
}

impl Guest {
    pub fn new(ctx: WasiCtx) -> Guest {
        Guest { ctx, memory: vec![0; MEMORY as usize], next: 1024 }
    }

    /// With one writable directory of the host as `/`.
    pub fn with_dir(host: &Path) -> Guest {
        let mut builder = WasiBuilder::new();
        builder.preopened_dir(host, "/", Perm::ReadWrite).unwrap();
        Guest::new(builder.build().unwrap())
    }

    /// With one writable directory in memory as `/`.
    pub fn with_memfs() -> Guest {
        Guest::new(WasiBuilder::new().memfs(&MemFs::new(1 << 20), "/", Perm::ReadWrite).build().unwrap())
    }

    /// Room in guest memory. Everything is given back at once by [`Guest::free_all`].
    pub fn alloc(&mut self, len: u32) -> u32 {
        let at = self.next;
        self.next = (at + len).next_multiple_of(8);
        assert!(self.next <= MEMORY, "the test needs more memory");
        at
    }

    /// Gives all room back, zeroed.
    pub fn free_all(&mut self) {
        self.memory.fill(0);
        self.next = 1024;
    }

    pub fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.alloc(bytes.len() as u32);
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        at
    }

    pub fn bytes(&self, at: u32, len: u32) -> &[u8] {
        &self.memory[at as usize..][..len as usize]
    }

    pub fn u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.bytes(at, 2).try_into().unwrap())
    }

    pub fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    pub fn call(&mut self, call: Call, args: &[u64]) -> Outcome {
        p1::call(&mut self.ctx, &mut GuestMem::new(&mut self.memory), call, args)
    }

    /// As [`Guest::call`], for calls that give an errno or success.
    pub fn errno(&mut self, call: Call, args: &[u64]) -> Result<(), Errno> {
        match self.call(call, args) {
            Ok(()) => Ok(()),
            Err(Fault::Errno(errno)) => Err(errno),
            Err(other) => panic!("{call:?}: {other}"),
        }
    }

    /// Lays out a list of buffers.
    pub fn iovecs(&mut self, list: &[(u32, u32)]) -> u32 {
        let bytes: Vec<u8> =
            list.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat()).collect();
        self.put(&bytes)
    }

    /// A call with a path, of which the arguments after the path are given.
    pub fn path_call(&mut self, call: Call, before: &[u64], path: &str, after: &[u64]) -> Result<(), Errno> {
        let at = self.put(path.as_bytes());
        let args = [before, &[at.into(), path.len() as u64], after].concat();
        self.errno(call, &args)
    }

    pub fn open_with(
        &mut self,
        dir: u32,
        lookup: u64,
        path: &str,
        oflags: u64,
        rights: u64,
        fdflags: u64,
    ) -> Result<u32, Errno> {
        let fd = self.alloc(4);
        let after = [oflags, rights, rights, fdflags, fd.into()];
        self.path_call(Call::path_open, &[dir.into(), lookup], path, &after)?;
        Ok(self.u32(fd))
    }

    /// Opens relative to the first directory, following no final link.
    pub fn open(&mut self, path: &str, oflags: u64, rights: u64) -> Result<u32, Errno> {
        self.open_with(ROOT, 0, path, oflags, rights, 0)
    }

    /// Makes a file with this content.
    pub fn create(&mut self, path: &str, content: &[u8]) {
        let fd = self.open(path, oflags::CREAT | oflags::TRUNC, RW).unwrap();
        assert_eq!(self.write(fd, content), Ok(content.len() as u32));
        self.close(fd).unwrap();
    }

    pub fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.errno(Call::fd_close, &[fd.into()])
    }

    pub fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        self.path_call(Call::path_create_directory, &[ROOT.into()], path, &[])
    }

    pub fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        self.path_call(Call::path_unlink_file, &[ROOT.into()], path, &[])
    }

    pub fn read_call(&mut self, call: Call, fd: u32, len: u32, more: &[u64]) -> Result<Vec<u8>, Errno> {
        let (buf, count) = (self.alloc(len), self.alloc(4));
        let iovs = self.iovecs(&[(buf, len)]);
        let args = [&[fd.into(), iovs.into(), 1], more, &[count.into()]].concat();
        self.errno(call, &args)?;
        Ok(self.bytes(buf, self.u32(count)).to_vec())
    }

    pub fn write_call(&mut self, call: Call, fd: u32, bytes: &[u8], more: &[u64]) -> Result<u32, Errno> {
        let (buf, count) = (self.put(bytes), self.alloc(4));
        let iovs = self.iovecs(&[(buf, bytes.len() as u32)]);
        let args = [&[fd.into(), iovs.into(), 1], more, &[count.into()]].concat();
        self.errno(call, &args)?;
        Ok(self.u32(count))
    }

    pub fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
        self.read_call(Call::fd_read, fd, len, &[])
    }

    pub fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
        self.write_call(Call::fd_write, fd, bytes, &[])
    }

    pub fn seek(&mut self, fd: u32, offset: i64, whence: u64) -> Result<u64, Errno> {
        let at = self.alloc(8);
        self.errno(Call::fd_seek, &[fd.into(), offset as u64, whence, at.into()])?;
        Ok(self.u64(at))
    }

    pub fn tell(&mut self, fd: u32) -> Result<u64, Errno> {
        let at = self.alloc(8);
        self.errno(Call::fd_tell, &[fd.into(), at.into()])?;
        Ok(self.u64(at))
    }

    pub fn fdstat(&mut self, fd: u32) -> Result<Fdstat, Errno> {
        let at = self.alloc(24);
        self.errno(Call::fd_fdstat_get, &[fd.into(), at.into()])?;
        Ok(Fdstat {
            filetype: self.memory[at as usize],
            flags: self.u16(at + 2),
            rights: self.u64(at + 8),
            inheriting: self.u64(at + 16),
        })
    }

    fn filestat_at(&self, at: u32) -> Filestat {
        Filestat {
            dev: self.u64(at),
            ino: self.u64(at + 8),
            filetype: self.memory[at as usize + 16],
            nlink: self.u64(at + 24),
            size: self.u64(at + 32),
            times: [self.u64(at + 40), self.u64(at + 48), self.u64(at + 56)],
        }
    }

    pub fn fstat(&mut self, fd: u32) -> Result<Filestat, Errno> {
        let at = self.alloc(64);
        self.errno(Call::fd_filestat_get, &[fd.into(), at.into()])?;
        Ok(self.filestat_at(at))
    }

    pub fn stat(&mut self, path: &str, lookup: u64) -> Result<Filestat, Errno> {
        let at = self.alloc(64);
        self.path_call(Call::path_filestat_get, &[ROOT.into(), lookup], path, &[at.into()])?;
        Ok(self.filestat_at(at))
    }

    /// The bytes that one call of `fd_readdir` gives, and the complete records in them.
    pub fn readdir(&mut self, fd: u32, len: u32, cookie: u64) -> Result<(Vec<u8>, Vec<Entry>), Errno> {
        let (buf, used) = (self.alloc(len), self.alloc(4));
        self.errno(Call::fd_readdir, &[fd.into(), buf.into(), len.into(), cookie, used.into()])?;
        let bytes = self.bytes(buf, self.u32(used)).to_vec();
        let mut entries = Vec::new();
        let mut rest = &bytes[..];
        while rest.len() >= 24 {
            let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
            let len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
            let Some(name) = rest.get(24..24 + len) else { break };
            let name = String::from_utf8(name.to_vec()).unwrap();
            entries.push(Entry { next: number(0), ino: number(8), filetype: rest[20], name });
            rest = &rest[24 + len..];
        }
        Ok((bytes, entries))
    }
}
