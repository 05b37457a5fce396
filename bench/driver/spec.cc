#include "bench/driver/container.h"

namespace gantry::bench {
namespace {

constexpr const char* kCapabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FSETID",     "CAP_FOWNER",     "CAP_MKNOD",
    "CAP_NET_RAW", "CAP_SETGID",           "CAP_SETUID",     "CAP_SETFCAP",    "CAP_SETPCAP",
    "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"};

Json MountOf(const char* destination, const char* type, const char* source,
             std::vector<std::string> options) {
  return {{"destination", destination},
          {"type", type},
          {"source", source},
          {"options", std::move(options)}};
}

Json Mounts() {
  return Json::array(
      {MountOf("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
       MountOf("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
       MountOf("/dev/pts", "devpts", "devpts",
               {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
       MountOf("/dev/shm", "tmpfs", "shm",
               {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
       MountOf("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
       MountOf("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
       MountOf("/run", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"})});
}

Json Device(const char* type, int major, int minor) {
  Json device = {{"allow", true}, {"type", type}, {"major", major}, {"access", "rwm"}};
  if (minor >= 0) device["minor"] = minor;
  return device;
}

}  // namespace

Json ProcessOf(const std::vector<std::string>& args) {
  const std::vector<std::string> capabilities(std::begin(kCapabilities), std::end(kCapabilities));
  return {{"user", {{"uid", 0}, {"gid", 0}, {"additionalGids", {0}}}},
          {"args", args},
          {"env", {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
          {"cwd", "/"},
          {"capabilities",
           {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
          {"rlimits", {{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}}},
          {"noNewPrivileges", true}};
}

Json SpecOf(const Target& target, const std::string& id, const ContainerOptions& options) {
  Json namespaces =
      Json::array({{{"type", "pid"}}, {{"type", "ipc"}}, {{"type", "uts"}}, {{"type", "mount"}}});
  if (options.network) namespaces.push_back({{"type", "network"}});
  const Json devices = Json::array({{{"allow", false}, {"access", "rwm"}},
                                    Device("c", 1, 3),
                                    Device("c", 1, 8),
                                    Device("c", 1, 7),
                                    Device("c", 5, 0),
                                    Device("c", 1, 5),
                                    Device("c", 1, 9),
                                    Device("c", 5, 1),
                                    Device("c", 136, -1),
                                    Device("c", 5, 2)});
  return {{"ociVersion", "1.0.2-dev"},
          {"process", ProcessOf(options.args)},
          {"root", {{"path", "rootfs"}}},
          {"mounts", Mounts()},
          {"linux",
           {{"resources", {{"devices", devices}, {"cpu", {{"shares", 1024}}}}},
            {"cgroupsPath", "/" + target.ns + "/" + id},
            {"namespaces", namespaces},
            {"maskedPaths",
             {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
              "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
              "/proc/scsi"}},
            {"readonlyPaths",
             {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}}}};
}

}  // namespace gantry::bench
