// The program's entry point where it is linked statically: ProtectBinary's usual way, taken before
// the C library exists. The program that is executed a second time has then not been set up a first
// time, which costs more than all that is done here: the library asks the processor for its caches,
// and in a virtual machine each of those questions goes to the host.
//
// No library function, no thread-local storage (the stack protector's is in it), no relocation that
// the library resolves (memcpy and the like): see the flags in CMakeLists.txt. What fails here is
// left to ProtectBinary, which tells.

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace {

constexpr char kSelf[] = "/proc/self/exe";

long Call(long number, long a, long b = 0, long c = 0, long d = 0, long e = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}

long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

bool Same(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

// The same commands as main.cc's EntersContainer.
bool EntersContainer(long argc, char** argv) {
  for (long i = 1; i < argc; ++i) {
    if (Same(argv[i], "create") || Same(argv[i], "run") || Same(argv[i], "exec")) return true;
  }
  return false;
}

bool OnReadOnlyMount(long self) {
  struct statfs status;
  return Call(SYS_fstatfs, self, Address(&status)) == 0 && (status.f_flags & ST_RDONLY) != 0;
}

}  // namespace

// `stack` is what the kernel leaves for a new program: argc, argv, null, environment, null.
extern "C" __attribute__((used)) void GantryBeforeStart(long* stack) {
  const long argc = stack[0];
  char** const argv = reinterpret_cast<char**>(stack + 1);
  if (!EntersContainer(argc, argv)) return;
  const long self = Call(SYS_openat, AT_FDCWD, Address(kSelf), O_RDONLY | O_CLOEXEC);
  if (self < 0) return;
  const bool safe = OnReadOnlyMount(self);
  Call(SYS_close, self);
  if (safe) return;
  const long tree =
      Call(SYS_open_tree, AT_FDCWD, Address(kSelf), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (Call(SYS_mount_setattr, tree, Address(""), AT_EMPTY_PATH, Address(&attributes),
           sizeof attributes) == 0) {
    Call(SYS_execveat, tree, Address(""), Address(argv), Address(argv + argc + 1), AT_EMPTY_PATH);
  }
  Call(SYS_close, tree);
}

// rsp and rdx are what the C library's entry point gets from the kernel.
asm(R"(
    .text
    .globl GantryStart
    .type GantryStart, @function
GantryStart:
    xorl %ebp, %ebp
    movq %rsp, %r12
    movq %rdx, %r13
    movq %rsp, %rdi
    call GantryBeforeStart
    movq %r12, %rsp
    movq %r13, %rdx
    jmp _start
    .size GantryStart, . - GantryStart
)");
