#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/version.h"

namespace gantry::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

// A container with a shell, a terminal and little else: what `spec` of every OCI runtime writes.
// Valid JSON by construction; a test parses it as a bundle's.
constexpr char kExample[] = R"({
  "ociVersion": "",
  "process": {
    "terminal": true,
    "user": {"uid": 0, "gid": 0},
    "args": ["sh"],
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    },
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "gantry",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
     "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
     "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
  ],
  "linux": {
    "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                   {"type": "mount"}],
    "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                    "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
})";

// For a user who is not root: maps that one to root, keeps the network, which only root can
// configure, and asks for nothing that such a user may not have.
void MakeRootless(OrderedJson& spec) {
  OrderedJson& linux_part = spec["linux"];
  linux_part.erase("resources");
  OrderedJson namespaces = OrderedJson::array();
  for (const OrderedJson& ns : linux_part["namespaces"]) {
    if (ns["type"] != "network") namespaces.push_back(ns);
  }
  namespaces.push_back({{"type", "user"}});
  linux_part["namespaces"] = namespaces;
  const auto mapping = [](uint32_t id) {
    OrderedJson one;
    one["containerID"] = 0;
    one["hostID"] = id;
    one["size"] = 1;
    return OrderedJson::array({one});
  };
  linux_part["uidMappings"] = mapping(::geteuid());
  linux_part["gidMappings"] = mapping(::getegid());
  for (OrderedJson& mount : spec["mounts"]) {
    if (mount["destination"] == "/sys") {
      // A new sysfs needs a network namespace of its own.
      mount["type"] = "none";
      mount["source"] = "/sys";
      mount["options"] = {"rbind", "nosuid", "noexec", "nodev", "ro"};
    } else if (mount["destination"] == "/dev/pts") {
      // Group 5 is not mapped.
      mount["options"] = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
    }
  }
}

}  // namespace

absl::StatusOr<int> RunSpec(const GlobalOptions&, const std::vector<std::string>& args) {
  std::string bundle;
  bool rootless = false;
  Flags flags(Flags::Order::kAnywhere);
  flags.Text("--bundle,-b", &bundle);
  flags.Bool("--rootless", &rootless);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("spec", rest, 0, 0));
  OrderedJson spec = OrderedJson::parse(kExample, nullptr, /*allow_exceptions=*/false);
  spec["ociVersion"] = kSpecVersion;
  if (rootless) MakeRootless(spec);
  const std::string path = bundle.empty() ? "config.json" : JoinPath(bundle, "config.json");
  const absl::StatusOr<UniqueFd> file = OpenFile(path, O_CREAT | O_EXCL | O_WRONLY, 0666);
  if (absl::IsAlreadyExists(file.status())) {
    return absl::AlreadyExistsError("File config.json exists. Remove it first");
  }
  if (!file.ok()) return file.status();
  GANTRY_RETURN_IF_ERROR(WriteAll(file->get(), spec.dump(1, '\t'), path));
  return 0;
}

}  // namespace gantry::cli
