#ifndef GANTRY_RUNTIME_SPEC_SPEC_H_
#define GANTRY_RUNTIME_SPEC_SPEC_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/spec/resources.h"
#include "runtime/spec/seccomp.h"

namespace gantry::runtime {

// config.json of a bundle as plain values. What a parsed Spec holds is valid: names of namespaces,
// capabilities and resource limits are known ones, paths that must be absolute are.
// Source: OCI runtime-spec 1.2, config.md and config-linux.md.

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<mode_t> umask;
  std::vector<gid_t> additional_gids;
};

// One bit per capability number (linux/capability.h).
struct Capabilities {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
  uint64_t permitted = 0;
  uint64_t ambient = 0;
};

struct Rlimit {
  int resource = 0;  // RLIMIT_*
  uint64_t soft = 0;
  uint64_t hard = 0;
};

struct ConsoleSize {
  uint16_t height = 0;
  uint16_t width = 0;
};

// sched_setattr(2): policy, flags and times as the kernel takes them.
struct Scheduler {
  uint32_t policy = 0;  // SCHED_*
  uint64_t flags = 0;   // SCHED_FLAG_*
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};

// CPUs or memory nodes, one bit each, as the kernel takes them.
using BitSet = std::vector<unsigned long>;

// Where a process added to a container runs: before it enters the cgroup and after. Empty: as it
// is.
struct CpuAffinity {
  BitSet initial;
  BitSet final;
};

struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;  // never empty
  std::vector<std::string> env;
  std::string cwd;                           // absolute
  std::optional<Capabilities> capabilities;  // absent: none at all
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<int> oom_score_adj;
  std::optional<Scheduler> scheduler;
  std::optional<int> io_priority;  // as ioprio_set(2) takes it: class and level
  CpuAffinity exec_cpu_affinity;
};

struct Root {
  std::string path;  // absolute, or relative to the bundle
  bool readonly = false;
};

struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t size = 0;

  bool operator==(const IdMapping&) const = default;
};

struct SpecMount {
  std::string destination;  // absolute in the container
  std::string type;
  std::string source;
  std::vector<std::string> options;
  // Both or neither: the owners of a bound tree are seen through them.
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
};

enum class NamespaceType { kPid, kNetwork, kMount, kIpc, kUts, kUser, kCgroup, kTime };
// "pid", "network", .. as the specification writes it.
const char* NamespaceName(NamespaceType type);
// CLONE_NEWPID, ..
uint64_t NamespaceFlag(NamespaceType type);

struct LinuxNamespace {
  NamespaceType type = NamespaceType::kPid;
  std::string path;  // empty: a new one
};

// Of a clock of a time namespace of the container's own, to the host's.
struct TimeOffset {
  std::string clock;  // "monotonic" or "boottime"
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
};

// set_mempolicy(2).
struct MemoryPolicy {
  int mode = 0;  // MPOL_* with its flags
  BitSet nodes;
};

struct LinuxDevice {
  std::string path;  // absolute in the container
  char type = 'c';   // 'c', 'u', 'b' or 'p'
  int64_t major = 0;
  int64_t minor = 0;
  mode_t file_mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
};

// A device of the host's network that becomes the container's.
struct NetDevice {
  std::string host_name;
  std::string name;  // in the container
};

struct Linux {
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  std::map<std::string, std::string> sysctl;
  LinuxResources resources;
  std::string cgroups_path;
  std::vector<LinuxNamespace> namespaces;
  std::vector<LinuxDevice> devices;
  std::optional<LinuxSeccomp> seccomp;
  std::string rootfs_propagation;  // "", "private", "rslave", ..
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
  std::vector<TimeOffset> time_offsets;
  std::optional<unsigned long> personality;  // PER_*
  std::optional<MemoryPolicy> memory_policy;
  std::vector<NetDevice> net_devices;

  // The namespace of `type` the container gets, or null if it stays in the runtime's.
  [[nodiscard]] const LinuxNamespace* FindNamespace(NamespaceType type) const;
};

struct Hook {
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<int> timeout_seconds;
};

// By the points in the life of a container at which they run.
struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> create_runtime;
  std::vector<Hook> create_container;
  std::vector<Hook> start_container;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
};

struct Spec {
  std::string oci_version;
  Process process;
  Root root;
  std::string hostname;
  std::string domainname;
  std::vector<SpecMount> mounts;
  Hooks hooks;
  Linux linux_;  // `linux` is a macro in GNU modes
  std::map<std::string, std::string> annotations;
};

// Errors: InvalidArgument with the path of the field ("linux.namespaces[2].type") and its value.
// Fields that are not known are passed over, as the specification demands.
absl::StatusOr<Spec> ParseSpec(absl::string_view json);
absl::StatusOr<Process> ParseProcess(absl::string_view json);
absl::StatusOr<LinuxResources> ParseResources(absl::string_view json);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_SPEC_H_
