//! Compiled code on disk, so that it is compiled once and not at each start.
//!
//! A file there is an [artefact](wasmrun_jit::artifact) with a seal that only the owner of the directory's key can make.
//! Whoever can write such a file decides what the process executes, so that directory, key and files belong to the user
//! who runs it and to nobody else, which is checked each time: `directory` opens the one, `key` the other, `files` reads
//! and writes. `stored` is between them and the tiers.
//!
//! A cache is never in the way: what is not as it should be is as good as absent, and code is compiled. Why is kept in
//! [`Cache::problems`].

mod directory;
mod files;
mod key;
mod stored;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use wasmrun_jit::artifact::{Artifact, Identity, Seal};

use crate::error::{Context, Result};
use crate::lock::lock;
use directory::Directory;

pub(crate) use stored::{Given, Keep, Stored, encode};
use work::Done;

/// Where compiled code is kept, and how much of it.
///
/// ```no_run
/// use wasmrun::{Cache, CacheConfig};
///
/// let mut config = CacheConfig::new();
/// config.with_directory("/var/cache/my-program").with_files_total_size_soft_limit(256 << 20);
/// let cache = Cache::new(config)?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheConfig {
    directory: Option<PathBuf>,
    size_limit: u64,
}

impl CacheConfig {
    /// The user's own directory, `$XDG_CACHE_HOME/wasmrun` or `~/.cache/wasmrun`, with up to 2 GiB in it.
    pub fn new() -> CacheConfig {
        CacheConfig { directory: None, size_limit: 2 << 30 }
    }

    /// Keeps the code in this directory. It is made when it is missing, and has to belong to the user and to be closed
    /// to all others (mode 0700): who can write to it decides what this process executes.
    pub fn with_directory(&mut self, directory: impl Into<PathBuf>) -> &mut CacheConfig {
        self.directory = Some(directory.into());
        self
    }

    /// Bytes that files may take altogether. Those that were not used for longest are removed when there are more.
    pub fn with_files_total_size_soft_limit(&mut self, bytes: u64) -> &mut CacheConfig {
        self.size_limit = bytes;
        self
    }

    fn path(&self) -> Result<PathBuf> {
        match &self.directory {
            Some(directory) => std::path::absolute(directory)
                .with_context(|| format!("{} is no directory for a cache", directory.display())),
            None => directory::of_user(),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig::new()
    }
}

/// Compiled code on disk, for [`Config::cache`](crate::Config::cache).
///
/// Cheap to clone. Engines, processes and versions of this crate can share one directory: code is found only by what it
/// was made for and by.
///
/// ```
/// use wasmrun::{Cache, CacheConfig, Config, Engine, Module, Strategy};
///
/// # let scratch = tempfile::tempdir()?;
/// # let directory = scratch.path().join("cache");
/// let mut where_to = CacheConfig::new();
/// where_to.with_directory(directory);
/// let cache = Cache::new(where_to)?;
///
/// let mut config = Config::new();
/// config.strategy(Strategy::Jit).cache(Some(cache.clone()));
/// for _start in 0..2 {
///     let engine = Engine::new(&config)?;
///     Module::new(&engine, "(module (func (export \"run\")))")?;
/// }
/// # if Engine::new(&config)?.no_compiled_code().is_none() {
/// assert_eq!((cache.cache_misses(), cache.cache_hits()), (1, 1));
/// assert_eq!(cache.stat()?.files, 1);
/// # }
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Directory,
    size_limit: u64,
    /// Made of the key, when that is first needed.
    seal: OnceLock<Seal>,
    hits: AtomicUsize,
    misses: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

/// How much there is in a [`Cache`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStat {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Problems that are kept.
const MOST_PROBLEMS: usize = 32;

impl Cache {
    /// A cache in the directory that `config` says, which is made when it is missing.
    ///
    /// # Errors
    /// There is no directory, and none can be made, that belongs to the user who runs this and to nobody else.
    pub fn new(config: CacheConfig) -> Result<Cache> {
        let path = config.path()?;
        let directory = Directory::create(&path).with_context(|| unusable(&path))?;
        Ok(Cache::in_directory(directory, &config))
    }

    /// The cache in the directory that `config` says, if that exists: to look at it, or to clean it.
    ///
    /// # Errors
    /// The directory is not one that [`Cache::new`] would use.
    pub fn existing(config: CacheConfig) -> Result<Option<Cache>> {
        let path = config.path()?;
        let directory = Directory::open(&path).with_context(|| unusable(&path))?;
        Ok(directory.map(|directory| Cache::in_directory(directory, &config)))
    }

    fn in_directory(directory: Directory, config: &CacheConfig) -> Cache {
        Cache {
            inner: Arc::new(Inner {
                directory,
                size_limit: config.size_limit,
                seal: OnceLock::new(),
                hits: AtomicUsize::new(0),
                misses: AtomicUsize::new(0),
                problems: Mutex::default(),
            }),
        }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        self.inner.directory.path()
    }

    /// How often code was found, since this cache was opened.
    pub fn cache_hits(&self) -> usize {
        self.inner.hits.load(Ordering::Relaxed)
    }

    /// How often it was not.
    pub fn cache_misses(&self) -> usize {
        self.inner.misses.load(Ordering::Relaxed)
    }

    /// What was not as it should be since this cache was opened, the first few: files that were ignored and why, and
    /// why code could not be written. None of this is an error; it costs the time to compile.
    pub fn problems(&self) -> Vec<String> {
        lock(&self.inner.problems).clone()
    }

    /// How much is in it.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn stat(&self) -> Result<CacheStat> {
        let files = files::list(&self.inner.directory).with_context(|| unusable(self.directory()))?;
        let code = files.iter().filter(|file| file.is_code());
        Ok(code.fold(CacheStat::default(), |stat, file| stat.plus(file.bytes)))
    }

    /// Removes all code, and what writers that did not come to their end have left. Returns how much code that was.
    ///
    /// # Errors
    /// The directory cannot be listed, or something in it not removed.
    pub fn clean(&self) -> Result<CacheStat> {
        let mut removed = CacheStat::default();
        for file in files::list(&self.inner.directory).with_context(|| unusable(self.directory()))? {
            files::remove(&self.inner.directory, &file.name)
                .with_context(|| format!("cannot remove {} from the cache", file.name))?;
            if file.is_code() {
                removed = removed.plus(file.bytes);
            }
        }
        Ok(removed)
    }

    /// The code that was made for `identity`, if there is some and nothing is wrong with it.
    pub(crate) fn load(&self, identity: &Identity) -> Option<Artifact> {
        let name = files::name(identity);
        let found = match self.read(&name, identity) {
            Ok(found) => found,
            Err(error) => {
                self.note(format!("{name} is ignored: {error:#}"));
                None
            }
        };
        let count = if found.is_some() { &self.inner.hits } else { &self.inner.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn read(&self, name: &str, identity: &Identity) -> Result<Option<Artifact>> {
        let Some(file) = files::open(&self.inner.directory, name)? else { return Ok(None) };
        let mut bytes = files::read(&file, self.inner.size_limit)?;
        // Nothing is taken from the bytes before their seal has been found to be ours.
        self.seal()?.open(&mut bytes)?;
        let artifact = Artifact::new(bytes)?;
        if artifact.identity() != identity {
            return Err(crate::Error::msg("it holds code for something else"));
        }
        files::touch(&file);
        Ok(Some(artifact))
    }

    /// Keeps an artefact for later runs.
    fn store(&self, identity: &Identity, mut artifact: Vec<u8>) {
        let mut write = || -> Result<()> {
            self.seal()?.close(&mut artifact);
            let name = files::name(identity);
            files::write(&self.inner.directory, &name, &artifact, self.inner.size_limit)?;
            Ok(files::make_room(&self.inner.directory, &name, self.inner.size_limit)?)
        };
        if let Err(error) = write() {
            self.note(format!("code is not kept: {error:#}"));
        }
    }

    fn seal(&self) -> Result<&Seal> {
        if let Some(seal) = self.inner.seal.get() {
            return Ok(seal);
        }
        let key = key::read_or_make(&self.inner.directory, |problem| self.note(problem));
        let key = key.context("there is no key")?;
        Ok(self.inner.seal.get_or_init(|| Seal::keyed(&key)))
    }

    fn note(&self, problem: String) {
        let mut problems = lock(&self.inner.problems);
        if problems.len() < MOST_PROBLEMS {
            problems.push(problem);
        }
    }
}

fn unusable(path: &Path) -> String {
    format!("{} cannot be used as a cache", path.display())
}

impl CacheStat {
    fn plus(self, bytes: u64) -> CacheStat {
        CacheStat { files: self.files + 1, bytes: self.bytes + bytes }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("directory", &self.directory())
            .field("hits", &self.cache_hits())
            .field("misses", &self.cache_misses())
            .finish_non_exhaustive()
    }
}
