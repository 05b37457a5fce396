#ifndef GANTRY_SHIM_MEMORY_H_
#define GANTRY_SHIM_MEMORY_H_

namespace gantry::shim {

// Gives back to the kernel what a burst of work took: free pages of the heap, those of the stack
// below the caller's frame, and the mapping of the program's own code, whose pages the next call
// finds in the page cache again. For a single-threaded process that is about to wait.
void ReleaseMemory();

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_MEMORY_H_
