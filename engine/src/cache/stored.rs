//! Code of a module that exists before anything of it is compiled: from a cache, or from an artefact that the module was
//! made of.
//!
//! The tiers call [`Stored::load`] before they compile, ask what it has of each function, and call [`Stored::save`] when there is
//! more to be kept than there was.

use std::any::Any;
use std::sync::Arc;

use wasmrun_jit::artifact::{Artifact, EncodeError, Encoder, Identity, ModuleHash, Settings};
use wasmrun_jit::code::{CodeSpace, InstallError};
use wasmrun_jit::compile::Mode;
use wasmrun_runtime::module::{MemoryPlan, Module};

use super::{Cache, Done, work};

/// The code that there was of one module, for one memory plan.
pub(crate) struct Stored {
    /// Where more of it is to be kept, and what it is made for; `None` where it is not kept, or where what was found is more
    /// than there is room for now.
    keep: Option<(Cache, Identity)>,
    /// Functions whose code is installed now, in ascending order.
    functions: Vec<u32>,
    /// Functions that cannot be compiled, in ascending order, with the reasons.
    refused: Vec<(u32, String)>,
    /// What functions without code have done in earlier runs, in ascending order; `None` where the cache knows of none.
    earlier_work: Option<Vec<Done>>,
    /// Why the artefact that the module was made of does not serve.
    unfit: Option<String>,
}

/// Code that came with a module.
#[derive(Default)]
pub(crate) enum Given {
    /// There is none.
    #[default]
    Nothing,
    /// It was in the artefact that the module was made of.
    Artifact(Artifact),
    /// Somebody has looked in the cache for this.
    Looked {
        /// What was looked for.
        identity: Identity,
        /// What was found.
        found: Option<Artifact>,
    },
}

/// What keeps installed code alive.
pub(crate) type Keep = Box<dyn Any + Send + Sync>;

impl Stored {
    /// Finds code of a module and installs it: that of `given`, or else that of the cache. `publish` is called for each
    /// function, with the entry of its code and what keeps that alive.
    pub(crate) fn load(
        cache: Option<Cache>,
        given: Given,
        space: &CodeSpace,
        module: &Arc<Module>,
        (settings, mode, plan): (Settings, Mode, MemoryPlan),
        mut publish: impl FnMut(u32, *const u8, Keep),
    ) -> Stored {
        let mut stored = Stored {
            keep: None,
            functions: Vec::new(),
            refused: Vec::new(),
            earlier_work: None,
            unfit: None,
        };
        if cache.is_none() && matches!(given, Given::Nothing) {
            return stored;
        }
        let hash = match &given {
            Given::Looked { identity, .. } => identity.module,
            _ => ModuleHash::of(module.bytes()),
        };
        let identity_with = |settings| Identity::new(space.isa(), settings, hash, mode, plan);
        let identity = identity_with(settings);
        let look = || cache.as_ref()?.load(&identity);
        let mut is_from_cache = true;
        let found = match given {
            Given::Looked { identity: of, found } if of == identity => found,
            Given::Artifact(artifact) => match unfit_for(artifact.identity(), settings, identity_with) {
                None => {
                    is_from_cache = false;
                    Some(artifact)
                }
                Some(reason) => {
                    stored.unfit = Some(reason.to_owned());
                    look()
                }
            },
            _ => look(),
        };
        stored.keep = cache.map(|cache| (cache, identity));
        let Some(artifact) = found else { return stored };
        let refused = artifact.refused().filter(|(function, _)| module.body(*function).is_some());
        let refused = refused.map(|(function, reason)| (function, reason.to_owned())).collect();
        let earlier_work = work::decode(artifact.profile(), module);
        match install(space, module, artifact, &mut publish) {
            Ok(functions) => {
                (stored.functions, stored.refused) = (functions, refused);
                stored.earlier_work = is_from_cache.then_some(earlier_work);
            }
            // No room in code memory, which compiling will find out for itself. What is on disk stays: it is more than
            // there will be now.
            Err(error) => {
                if let Some((cache, _)) = stored.keep.take() {
                    cache.note(format!("code cannot be installed: {error}"));
                }
            }
        }
        stored
    }

    /// Whether code of a function was found, and is installed.
    pub(crate) fn has(&self, function: u32) -> bool {
        self.functions.binary_search(&function).is_ok()
    }

    /// Why a function cannot be compiled, if that is known.
    pub(crate) fn refused(&self, function: u32) -> Option<&str> {
        let at = self.refused.binary_search_by_key(&function, |(function, _)| *function).ok()?;
        Some(&self.refused[at].1)
    }

    /// The functions that cannot be compiled, with the reasons.
    pub(crate) fn all_refused(&self) -> impl Iterator<Item = (u32, &str)> {
        self.refused.iter().map(|(function, reason)| (*function, &**reason))
    }

    /// What functions without code have done in earlier runs; `None` if the cache knows of none.
    pub(crate) fn earlier_work(&self) -> Option<&[Done]> {
        self.earlier_work.as_deref()
    }

    /// Why the artefact that the module was made of does not serve, if it does not.
    pub(crate) fn unfit(&self) -> Option<&str> {
        self.unfit.as_deref()
    }

    /// Writes all code that the module has by now to the cache, if there is one. To be called when there is news.
    /// `refused` are the functions that cannot be compiled, in ascending order, with the reasons, and `work` what others without
    /// code have done.
    pub(crate) fn save(
        &self,
        space: &CodeSpace,
        module: &Arc<Module>,
        refused: &[(u32, &str)],
        work: impl IntoIterator<Item = Done>,
    ) {
        let Some((cache, identity)) = &self.keep else { return };
        match encode(space, module, *identity, refused, &work::encode(work), &[]) {
            Ok(bytes) => cache.store(identity, bytes),
            Err(error) => cache.note(format!("code is not kept: {error}")),
        }
    }
}

/// Why code for `given` cannot be used with these settings. What can be interrupted need not be.
fn unfit_for(
    given: &Identity,
    settings: Settings,
    identity_with: impl Fn(Settings) -> Identity,
) -> Option<&'static str> {
    let interruptible = identity_with(Settings { interruptible: true, ..settings });
    let wanted = if given.build == interruptible.build { interruptible } else { identity_with(settings) };
    unfit(given, &wanted)
}

/// Why code for `given` cannot be used where code for `wanted` is needed.
fn unfit(given: &Identity, wanted: &Identity) -> Option<&'static str> {
    if given.module != wanted.module {
        Some("the code in it is that of another module")
    } else if given.build != wanted.build {
        Some("it was compiled by another version of the engine, for another machine or with other settings")
    } else if given.mode != wanted.mode {
        Some("it was compiled with another level of optimisation")
    } else if given.plan != wanted.plan {
        Some("it was compiled for memories that are laid out in another way")
    } else {
        None
    }
}

fn install(
    space: &CodeSpace,
    module: &Arc<Module>,
    artifact: Artifact,
    publish: &mut impl FnMut(u32, *const u8, Keep),
) -> Result<Vec<u32>, InstallError> {
    if artifact.tables().is_empty() {
        return Ok(Vec::new());
    }
    space.make_room_for_calls(module)?;
    let installed = Arc::new(space.install_artifact(module, artifact)?);
    let mut functions = Vec::with_capacity(installed.entries().len());
    for (function, entry) in installed.entries() {
        publish(function, entry, Box::new(Arc::clone(&installed)));
        functions.push(function);
    }
    Ok(functions)
}

/// An artefact of all code that the module has for a plan, with an encoding of what other functions have done.
pub(crate) fn encode(
    space: &CodeSpace,
    module: &Arc<Module>,
    identity: Identity,
    refused: &[(u32, &str)],
    work: &[u8],
    wasm: &[u8],
) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(identity);
    for function in module.imported_function_count()..module.function_count() {
        if let Some(compiled) = space.function_of(module, identity.plan, function) {
            encoder.function(&compiled)?;
        }
    }
    for (function, reason) in refused {
        encoder.refused(*function, reason)?;
    }
    encoder.finish(work, wasm)
}
