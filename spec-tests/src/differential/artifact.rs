//! The oracle for damaged artefacts: they are read or refused, and what is read can be used without harm. No code of
//! theirs is executed.

use wasmrun_jit::artifact::{Artifact, Tables};

/// Reads bytes as an artefact and uses all that it offers. Returns whether they are one.
///
/// # Panics
/// Reading does, or what was read contradicts itself: that is what is looked for.
pub fn read_artifact(bytes: &[u8]) -> bool {
    let artifact = match Artifact::new(bytes.to_vec()) {
        Ok(artifact) => artifact,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let parts = [artifact.profile(), artifact.wasm(), artifact.code()];
    assert!(parts.iter().map(|part| part.len()).sum::<usize>() < bytes.len());
    let reasons: usize = artifact.refused().map(|(_, reason)| reason.len()).sum();
    assert!(reasons < bytes.len());
    let mut listed = 0;
    for stored in artifact.tables().functions() {
        let compiled = artifact.function(stored.function()).expect("what is listed is found");
        assert_eq!(compiled.code, artifact.code()[stored.code()]);
        listed += compiled.traps.len() + compiled.positions.len();
    }
    assert!(listed < bytes.len());
    let end = artifact.code().len();
    search(artifact.tables(), end);
    search(&artifact.into_tables(), end);
    true
}

/// Asks for functions and instructions by addresses, as a signal handler does.
fn search(tables: &Tables, end: usize) {
    for stored in tables.functions() {
        for offset in [stored.code().start, stored.code().end - 1, stored.code().end] {
            let Some(found) = tables.function_at(offset) else { continue };
            assert!(found.code().contains(&offset) && found.code().end <= end);
            let within = (offset - found.code().start) as u32;
            let _ = (found.trap_at(within), found.wasm_offset(within));
        }
    }
}
