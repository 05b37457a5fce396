#ifndef GANTRY_SERVICES_INTROSPECTION_PLUGIN_REGISTRY_H_
#define GANTRY_SERVICES_INTROSPECTION_PLUGIN_REGISTRY_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::introspection {

struct Platform {
  std::string os;
  std::string architecture;
};

// A part of the daemon under the name that containerd's clients know it by.
struct Plugin {
  std::string type;  // "io.containerd.snapshotter.v1"
  std::string id;    // "overlayfs"
  std::vector<std::string> requires_types;
  std::vector<Platform> platforms;
  std::map<std::string, std::string> exports;
  std::vector<std::string> capabilities;
  absl::Status init_error;
};

// The parts of this daemon, in the order in which they were started. Filled before it serves, read
// by many threads then.
class PluginRegistry {
 public:
  void Add(Plugin plugin) { plugins_.push_back(std::move(plugin)); }

  // Those that any of `filters` matches, all if there is none. Fields: type, id, platforms
  // ("linux/amd64,..."), capabilities (presence by name). Errors: InvalidArgument for bad syntax.
  [[nodiscard]] absl::StatusOr<std::vector<Plugin>> List(
      const std::vector<std::string>& filters) const;
  // Errors: NotFound.
  [[nodiscard]] absl::StatusOr<Plugin> Get(absl::string_view type, absl::string_view id) const;

 private:
  std::vector<Plugin> plugins_;
};

// The identity of the installation, a UUID kept in `<root>/uuid` and made at the first start.
absl::StatusOr<std::string> LoadOrCreateUuid(const std::string& root);

// The kernel's number of this process's pid namespace.
absl::StatusOr<uint64_t> PidNamespace();

// "linux/amd64" of the machine this was compiled for, as Go names it.
Platform HostPlatform();

}  // namespace gantry::introspection

#endif  // GANTRY_SERVICES_INTROSPECTION_PLUGIN_REGISTRY_H_
