#include "shim/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>

// From the linker: where the program's read-only part, code and constants, begins and ends.
extern "C" const char __executable_start;
extern "C" const char etext;

namespace gantry::shim {
namespace {

constexpr uintptr_t kPage = 4096;
// Deeper than any call here goes.
constexpr uintptr_t kDepth = 1 << 20;
// For the frames of what is called below.
constexpr uintptr_t kMargin = 2 * kPage;

}  // namespace

void ReleaseMemory() {
  ::malloc_trim(0);
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const uintptr_t end = (here - kMargin) & ~(kPage - 1);
  // What of the range was never mapped is passed over (ENOMEM).
  ::madvise(reinterpret_cast<void*>(end - kDepth), kDepth, MADV_DONTNEED);
  // Never written, so that the file has the same bytes. Dozens of shims map it: one that idles
  // should hold no share of what only starts and execs run.
  const uintptr_t code = reinterpret_cast<uintptr_t>(&__executable_start) & ~(kPage - 1);
  const uintptr_t code_end = reinterpret_cast<uintptr_t>(&etext) & ~(kPage - 1);
  if (code < code_end) {
    ::madvise(reinterpret_cast<void*>(code), code_end - code, MADV_DONTNEED);
  }
}

}  // namespace gantry::shim
