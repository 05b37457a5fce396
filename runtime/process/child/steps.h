#ifndef GANTRY_RUNTIME_PROCESS_CHILD_STEPS_H_
#define GANTRY_RUNTIME_PROCESS_CHILD_STEPS_H_

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "runtime/process/child/child.h"

namespace gantry::runtime {

// The steps of a ChildPlan with the arguments each takes as Step::data. All strings are made by the
// parent and outlive the child's copy of them. Each returns 0 or an errno.

// --- Process and namespaces (process_steps.cc)

// Waits for kGo; ECANCELED if the parent went away.
int WaitForGo(Child&, const Step&) noexcept;
// Sends kHooks and waits the same way.
int WaitForHooks(Child&, const Step&) noexcept;
// Resets signals, becomes non-dumpable and a session leader, opens the host's procfs.
int PrepareProcess(Child&, const Step&) noexcept;

// Makes the process, a single thread, a member of the v1 cgroup whose file `tasks` this is.
struct CgroupArgs {
  int tasks;
};
int JoinCgroup(Child&, const Step&) noexcept;

struct TextArgs {
  const char* text;
  size_t size;
};
int SetHostname(Child&, const Step&) noexcept;         // TextArgs
int SetDomainname(Child&, const Step&) noexcept;       // TextArgs
int JoinSessionKeyring(Child&, const Step&) noexcept;  // TextArgs: its name

// Writes `text` into `path`, relative to the host's procfs, in one write(2). No links are followed.
struct WriteProcArgs {
  const char* path;
  const char* text;
  size_t size;
};
int WriteProc(Child&, const Step&) noexcept;

// Descriptors >= 0 become 0, 1, 2; -1 is /dev/null. `source` numbers are above 2.
struct StdioArgs {
  int source[3];
  uid_t uid;  // pipes are given to this user, so that /dev/stdout can be opened
  bool give_pipes;
};
int SetStdio(Child&, const Step&) noexcept;
// Once the root is entered: the host's /dev/null gives way to the container's, where that is one.
int ReopenNull(Child&, const Step&) noexcept;  // StdioArgs

struct TerminalArgs {
  uint16_t height, width;  // 0, 0: leave
  uid_t uid;
  bool bind_console;  // on /dev/console
};
// A terminal of the container's own devpts: its slave becomes 0 to 2 and the controlling terminal,
// its master goes to the parent. The root directory is the container's already.
int OpenTerminal(Child&, const Step&) noexcept;

// --- Namespaces (namespace_steps.cc)

struct SetNamespaceArgs {
  int fd;     // of a namespace, or a pidfd
  int flags;  // CLONE_NEW*
};
int SetNamespace(Child&, const Step&) noexcept;

struct UnshareArgs {
  int flags;
};
int Unshare(Child&, const Step&) noexcept;

struct CloneArgs {
  uint64_t flags;  // CLONE_NEW*
};
// The clone, a child of the parent's too, goes on with the next step; this process reports kCloned
// and ends.
int CloneAgain(Child&, const Step&) noexcept;

// Makes a time namespace, sets its clocks (TextArgs: the lines of timens_offsets) and enters it.
int EnterNewTime(Child&, const Step&) noexcept;

// From the host's root, which has no id in the user namespace, to root of that.
int BecomeRoot(Child&, const Step&) noexcept;

// --- Hooks in the container's namespaces (hook_steps.cc)

struct HookArgs {
  const char* name;  // "createContainer hook #0 (/bin/x)", for the report
  const char* path;
  char* const* argv;
  char* const* envp;
  int timeout_seconds;  // 0: none
  // The state in JSON around the pid, which is known in the container's namespace alone.
  const char* state_before_pid;
  const char* state_after_pid;
};
// More than any errno: the words are in the report's detail.
constexpr int kHookFailed = 1 << 16;
int RunHook(Child&, const Step&) noexcept;
int RunOneHook(Child&, const HookArgs&) noexcept;

// --- Where it runs (scheduling_steps.cc)

struct BitSetArgs {
  const unsigned long* words;
  size_t count;
};
int SetAffinity(Child&, const Step&) noexcept;  // BitSetArgs: CPUs

struct PersonalityArgs {
  unsigned long persona;
};
int SetPersonality(Child&, const Step&) noexcept;

struct MemoryPolicyArgs {
  int mode;
  BitSetArgs nodes;
};
int SetMemoryPolicy(Child&, const Step&) noexcept;

// --- Identity and limits (identity_steps.cc)

struct RlimitArgs {
  int resource;
  struct rlimit limit;
};
int SetRlimit(Child&, const Step&) noexcept;

struct IdentityArgs {
  uid_t uid;
  gid_t gid;
  const gid_t* groups;
  size_t group_count;
  uint64_t bounding, effective, permitted, inheritable, ambient;
};
int DropBounding(Child&, const Step&) noexcept;      // IdentityArgs
int SetUserAndGroups(Child&, const Step&) noexcept;  // IdentityArgs
int SetCapabilities(Child&, const Step&) noexcept;   // IdentityArgs
int SetNoNewPrivileges(Child&, const Step&) noexcept;

struct UmaskArgs {
  mode_t mask;
};
int SetUmask(Child&, const Step&) noexcept;

struct SeccompArgs {
  sock_fprog program;
  unsigned flags;
  // The kernel gives a listener: its number is reported (kListener), and the process goes on when
  // the parent has taken it. Only write(2) and read(2) are used for that; the first may not be
  // among the calls that wait for the listener.
  bool listener;
};
int LoadSeccomp(Child&, const Step&) noexcept;
int LoadSeccompProgram(Child&, const SeccompArgs& args) noexcept;

struct CwdArgs {
  const char* path;
  // As root, before the user is set: who may not enter is left for the second time.
  bool may_retry;
};
int MakeCwd(Child&, const Step&) noexcept;   // in the root, if it is missing
int EnterCwd(Child&, const Step&) noexcept;  // and makes sure that it is inside

// Leaves "HOME=" and the directory that the root's /etc/passwd gives to `uid` in `variable`, which
// is "HOME=/" before. Never fails: a process without a home runs as well.
constexpr size_t kHomeSize = 256;
struct HomeArgs {
  char* variable;  // kHomeSize bytes
  uid_t uid;
};
int FindHome(Child&, const Step&) noexcept;

// Closes everything above 2 but what the process keeps (ChildPlan::kept_fds) and the child's
// sockets: the process may wait long for its start, and
// one with CAP_SYS_PTRACE in a shared pid namespace could take what it finds here.
int CloseDescriptors(Child&, const Step&) noexcept;

// --- Mounts (mount_steps.cc, device_steps.cc)

// The whole mount tree gets `flags` (MS_SLAVE | MS_REC and so on).
struct PropagationArgs {
  const char* target;    // in the root; null: the whole tree ("/")
  uint64_t propagation;  // MS_PRIVATE, MS_SHARED, MS_SLAVE or MS_UNBINDABLE
  bool recursive;
};
int SetPropagation(Child&, const Step&) noexcept;

struct FsOption {
  const char* key;
  const char* value;  // null: a flag
};

// A mount of a file system, or of a tree that exists (a bind).
struct MountArgs {
  const char* type;                         // null: bind
  int tree = -1;                            // made by the parent; else the child makes it
  const char* source;                       // of a bind: a path on the host
  const char* target;                       // in the root; with `on_host` a path on the host
  bool on_host;                             // the root itself, mounted before it is entered
  bool ordinary_target;                     // refuse links anywhere in the target (proc, sysfs)
  bool keep_mode;                           // the root gets the mode of the target
  bool copy_up;                             // and what is in the target is copied in
  bool recursive;                           // rbind
  uint64_t attr_set, attr_clear;            // MOUNT_ATTR_*
  uint64_t recursive_set, recursive_clear;  // for the tree below as well
  uint64_t propagation;                     // MS_*, 0: leave
  bool propagation_recursive;
  const FsOption* options;
  size_t option_count;
  // Overlay on kernels without lowerdir+ (before 6.8): mount(2) with relative lower directories.
  const char* legacy_dir;
  const char* legacy_data;  // null: none
};
int MountOne(Child&, const Step&) noexcept;
// The detached tree of a mount with its attributes, or -errno; -ENOPROTOOPT means that this kernel
// takes layers only by mount(2). Also for the parent, with a Child that takes the kernel's words.
int OpenTree(Child&, const MountArgs&) noexcept;
// For such a kernel, on `target`. 0 or an errno.
int MountLegacyOverlay(const MountArgs&) noexcept;

// The same for an overlay whose lower directories, `layers`, are mapped by the user namespace
// `id_map`. Changes mounts: for a process in a mount namespace of its own that ends after it, and
// in which paths to the layers lead to their mapped clones. Needs Linux 5.19. (mapped_overlay.cc)
int OpenMappedOverlay(Child&, const MountArgs&, const char* const* layers, size_t count,
                      int id_map) noexcept;

// Copies what is in the directory `from` to `to`: files, directories, links and nodes with owner
// and mode. No link is followed. 0 or an errno. (copy.cc)
int CopyDirectory(int from, int to) noexcept;

struct PathArgs {
  const char* path;
};
int OpenRoot(Child&, const Step&) noexcept;          // PathArgs: on the host
int BindRootOnItself(Child&, const Step&) noexcept;  // PathArgs: on the host
// The mount that the path lies in, so that what is mounted there stays in this mount namespace.
int MakeParentPrivate(Child&, const Step&) noexcept;  // PathArgs: on the host
int MaskPath(Child&, const Step&) noexcept;           // PathArgs; a missing path is passed over
int ReadonlyPath(Child&, const Step&) noexcept;       // PathArgs; the same
int ReadonlyRoot(Child&, const Step&) noexcept;
int ReadonlyMount(Child&, const Step&) noexcept;  // PathArgs: a mount of ours, alone
int PivotRoot(Child&, const Step&) noexcept;
int MoveRoot(Child&, const Step&) noexcept;  // instead, where there is nothing to pivot (initramfs)

struct DeviceArgs {
  const char* directory;  // in the root
  const char* name;
  const char* host_path;  // bound where the kernel does not let one be made
  mode_t mode;            // with S_IFCHR and so on
  dev_t device;
  uid_t uid;
  gid_t gid;
};
int MakeDevice(Child&, const Step&) noexcept;

struct LinkArgs {
  const char* directory;  // in the root
  const char* name;
  const char* target;
  bool replace;
};
int MakeLink(Child&, const Step&) noexcept;

// --- Shared by the files of this folder (paths.cc, run.cc, process_steps.cc, namespace_steps.cc)

enum class Make { kNothing, kDirectory, kFile };
// An O_PATH descriptor of `path` with `root` as "/": no link or ".." leads out (openat2(2),
// RESOLVE_IN_ROOT). Missing parts are made. Gives -1 with errno.
int OpenInContainer(int root, const char* path, Make make, uint64_t more_resolve) noexcept;
// Opens what `path` names in the container, with the working directory as "/", if it is of that
// type (S_IFMT) and, a device, that number. Whatever else lies there is looked at and never opened:
// that alone can block, or set something off. Gives -1 with errno, ENODEV for another thing. With
// the host's procfs open a link of procfs would be a way out of the container: none is followed.
int OpenKind(const Child& child, const char* path, mode_t type, dev_t device, int flags,
             uint64_t more_resolve) noexcept;
void SetDetail(Child& child, const char* text) noexcept;
// The decimal digits of a number >= 0, ended by a NUL; their count. At most 12 bytes.
size_t WriteNumber(int number, char* out) noexcept;
// "self/fd/7", relative to the host's procfs. At most 32 bytes.
void WriteFdPath(int fd, char* out) noexcept;
// A report that carries a descriptor.
int SendReport(const Child& child, ReportKind kind, int fd) noexcept;
// One write(2) to a file of the host's procfs, below `path`.
int WriteProcFile(Child& child, const char* path, const char* text, size_t size) noexcept;
// None at all is fine where the user namespace forbids setgroups(2).
int SetGroups(const Child& child, const gid_t* groups, size_t count) noexcept;

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_CHILD_STEPS_H_
