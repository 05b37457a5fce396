#ifndef GANTRY_DAEMON_CONFIG_H_
#define GANTRY_DAEMON_CONFIG_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/proxy_plugin.h"
#include "daemon/service_set.h"
#include "services/diff/layer_limits.h"
#include "services/gc/schedule_options.h"
#include "services/snapshots/overlay_options.h"

namespace gantry::daemon {

// Where one API listens. The socket's mode is 0660.
struct Endpoint {
  std::string address;  // path of a unix socket
  uid_t uid = 0;
  gid_t gid = 0;
};

// gantryd's settings: containerd's configuration file, as far as gantry has what it configures.
struct Config {
  int64_t version = 3;
  std::string root = "/var/lib/gantry";
  std::string state = "/run/gantry";
  Endpoint grpc{.address = "/run/gantry/gantry.sock"};
  int64_t max_recv_message_bytes = 16 << 20;
  int64_t max_send_message_bytes = 16 << 20;
  // Empty address: that of grpc with ".ttrpc" behind it (TtrpcAddress).
  Endpoint ttrpc;
  Endpoint debug;
  std::string log_level = "info";
  std::string log_format = "text";
  // host:port (tcp_address.h); empty: metrics are not served.
  std::string metrics_address;
  bool metrics_grpc_histogram = false;
  int64_t oom_score = 0;
  // plugins."io.containerd.snapshotter.v1.overlayfs".root_path; empty: below root.
  std::string overlayfs_root;
  // The rest of that table.
  snapshots::OverlayOptions overlayfs;
  // plugins."io.containerd.snapshotter.v1.native".root_path; empty: below root.
  std::string native_root;
  // plugins."io.containerd.runtime.v2.task".shim; empty: beside gantryd, else in PATH.
  std::string shim;
  // The same table's own_runtimes: names of runtimes that gantry's shim serves. Others are
  // programs.
  std::vector<std::string> own_runtimes = {"io.containerd.gantry.v1", "io.containerd.runc.v2",
                                           "io.containerd.runtime.v1.linux"};
  // plugins."io.containerd.differ.v1.walking"
  diff::LayerLimits layer;
  // plugins."io.containerd.gc.v1.scheduler"
  gc::ScheduleOptions gc;
  // plugins."io.containerd.metadata.v1.bolt": "shared" or "isolated".
  std::string content_sharing_policy = "shared";
  std::vector<ProxyPlugin> proxy_plugins;
  // Of the command line only (--services).
  ServiceSet services;

  [[nodiscard]] std::string TtrpcAddress() const;
};

struct ParsedConfig {
  Config config;
  // One sentence each, "FILE:LINE: ...", for keys that gantry does not know or does not honour.
  std::vector<std::string> warnings;
};

constexpr absl::string_view kDefaultConfigPath = "/etc/gantry/config.toml";

// Reads containerd's format, versions 2 and 3. `file` only names the text in messages.
// Errors: InvalidArgument "FILE:LINE: KEY: ..." for bad TOML, a wrong type or an unusable value.
absl::StatusOr<ParsedConfig> ParseConfig(absl::string_view text, absl::string_view file);

// Errors: NotFound if the file is missing, otherwise as ParseConfig.
absl::StatusOr<ParsedConfig> LoadConfig(const std::string& path);

// What cannot be served, whichever way it was set. Errors: InvalidArgument naming the key.
absl::Status ValidateConfig(const Config& config);

// `config` as a configuration file that ParseConfig reads back to the same.
std::string DumpConfig(const Config& config);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_CONFIG_H_
