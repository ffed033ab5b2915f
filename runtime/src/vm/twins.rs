//! Instances go over to the code of a twin of their module, which counts what it does, and back.

use std::collections::HashSet;
use std::sync::Arc;

use super::context::VmContext;
use super::func_ref::FuncRef;
use super::instance::Instance;
use super::store::Store;
use crate::module::{MemoryPlan, Module};

impl Store {
    /// The modules of its instances, dropped ones included that are still reachable, and what there is to know about their
    /// memories. A module is named once for each.
    pub fn modules(&self) -> impl Iterator<Item = (&Arc<Module>, MemoryPlan)> {
        self.instances().map(|instance| (&instance.module, instance.memory_plan()))
    }

    /// Lets all instances whose module has the same contents as `module` run the code of that.
    ///
    /// # Panics
    /// Guest code runs.
    pub fn go_over_to(&mut self, module: &Arc<Module>) {
        assert!(self.exec().is_idle(), "frames would go on in code that nobody keeps");
        let mut moved = HashSet::new();
        for instance in self.instances_mut().filter(|instance| instance.module.is_twin_of(module)) {
            instance.go_over_to(module);
            moved.insert(instance.context());
        }
        for importer in self.instances_mut() {
            importer.find_imports_again(&moved);
        }
    }
}

impl Instance {
    fn go_over_to(&mut self, module: &Arc<Module>) {
        let cells = module.cells().table(self.memory_plan()).as_ptr();
        self.context.set_cells(cells);
        let context = self.context();
        let layout = module.layout();
        for function in module.imported_function_count()..module.function_count() {
            let Some(offset) = layout.func_ref(function) else { continue };
            // SAFETY: the offset is of the layout of the instance's module, which is that of its twin. What has not been
            // asked for yet is still all zeroes, and finds the new cells.
            unsafe {
                let reference = VmContext::at::<FuncRef>(context, offset);
                if !(*reference).cell.is_null() {
                    (*reference).cell = cells.add((function - module.imported_function_count()) as usize);
                }
            }
        }
        self.module = Arc::clone(module);
    }

    /// Finds where the code of imported functions is that run in one of these contexts.
    fn find_imports_again(&mut self, moved: &HashSet<*mut VmContext>) {
        for function in 0..self.module.imported_function_count() {
            // SAFETY: the offset is of the module's layout; what an instance imports stays as long as it, and the records of
            // functions that are imported have been made.
            unsafe {
                let import = VmContext::at::<FuncRef>(
                    self.context(),
                    self.module.layout().imported_function(function),
                );
                if moved.contains(&(*import).vmctx) {
                    (*import).cell = VmContext::func_ref((*import).vmctx, (*import).func_index).as_ref().cell;
                }
            }
        }
    }
}
