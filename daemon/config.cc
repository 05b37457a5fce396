#include "daemon/config.h"

#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/tcp_address.h"
#include "daemon/toml_table.h"

namespace gantry::daemon {
namespace {

void ReadGrpc(TomlTable& table, Config* config) {
  table.String("address", &config->grpc.address);
  table.Id("uid", &config->grpc.uid);
  table.Id("gid", &config->grpc.gid);
  table.Integer("max_recv_message_size", &config->max_recv_message_bytes, 1, INT32_MAX);
  table.Integer("max_send_message_size", &config->max_send_message_bytes, 1, INT32_MAX);
  table.Refuse("tcp_address",
               "gantryd listens on unix sockets only: whoever reaches its API is root on this "
               "machine");
  for (const char* key : {"tcp_tls_ca", "tcp_tls_cert", "tcp_tls_key", "tcp_tls_common_name"}) {
    table.NotSupported(key, "there is no TCP listener");
  }
}

void ReadPlugins(TomlTable& plugins, Config* config) {
  plugins.Table("io.containerd.snapshotter.v1.overlayfs", [config](TomlTable& table) {
    table.String("root_path", &config->overlayfs_root);
    table.Strings("mount_options", &config->overlayfs.mount_options);
    table.Bool("upperdir_label", &config->overlayfs.upperdir_label);
    table.Bool("sync_remove", &config->overlayfs.sync_remove);
    table.Bool("slow_chown", &config->overlayfs.slow_chown);
  });
  plugins.Table("io.containerd.snapshotter.v1.native",
                [config](TomlTable& table) { table.String("root_path", &config->native_root); });
  plugins.Table("io.containerd.differ.v1.walking", [config](TomlTable& table) {
    table.Integer("max_layer_bytes", &config->layer.max_bytes, 0, INT64_MAX);
    table.Integer("max_layer_ratio", &config->layer.max_ratio, 0, INT64_MAX);
    table.Integer("max_layer_entries", &config->layer.max_entries, 0, INT64_MAX);
  });
  plugins.Table("io.containerd.gc.v1.scheduler", [config](TomlTable& table) {
    table.Double("pause_threshold", &config->gc.pause_threshold);
    table.Integer("deletion_threshold", &config->gc.deletion_threshold, 0, INT64_MAX);
    table.Integer("mutation_threshold", &config->gc.mutation_threshold, 0, INT64_MAX);
    table.Duration("schedule_delay", &config->gc.schedule_delay);
    table.Duration("startup_delay", &config->gc.startup_delay);
  });
  plugins.Table("io.containerd.metadata.v1.bolt", [config](TomlTable& table) {
    table.String("content_sharing_policy", &config->content_sharing_policy);
    table.NotSupported("no_sync", "what is acknowledged is always on the disk");
  });
  plugins.Table("io.containerd.runtime.v2.task", [config](TomlTable& table) {
    table.String("shim", &config->shim);
    table.Strings("own_runtimes", &config->own_runtimes);
    table.NotSupported("platforms", "this machine's platform is served");
    table.NotSupported("sched_core", "core scheduling is not built");
  });
}

void ReadTop(TomlTable& top, Config* config) {
  top.Integer("version", &config->version, 2, 3);
  top.String("root", &config->root);
  top.String("state", &config->state);
  top.Integer("oom_score", &config->oom_score, -1000, 1000);
  top.Table("grpc", [config](TomlTable& table) { ReadGrpc(table, config); });
  top.Table("ttrpc", [config](TomlTable& table) {
    table.String("address", &config->ttrpc.address);
    table.Id("uid", &config->ttrpc.uid);
    table.Id("gid", &config->ttrpc.gid);
  });
  top.Table("debug", [config](TomlTable& table) {
    table.String("address", &config->debug.address);
    table.Id("uid", &config->debug.uid);
    table.Id("gid", &config->debug.gid);
    table.String("level", &config->log_level);
    table.String("format", &config->log_format);
  });
  top.Table("metrics", [config](TomlTable& table) {
    table.CheckedString("address", &config->metrics_address, [](const std::string& address) {
      return address.empty() ? absl::OkStatus() : ParseTcpAddress(address).status();
    });
    table.Bool("grpc_histogram", &config->metrics_grpc_histogram);
  });
  top.Table("plugins", [config](TomlTable& table) { ReadPlugins(table, config); });
  top.Tables("proxy_plugins", [config](const std::string& name, TomlTable& table) {
    ProxyPlugin& plugin = config->proxy_plugins.emplace_back();
    plugin.name = name;
    table.String("type", &plugin.type);
    table.String("address", &plugin.address);
    table.String("platform", &plugin.platform);
    table.StringMap("exports", &plugin.exports);
    table.Strings("capabilities", &plugin.capabilities);
  });
  top.NotSupported("disabled_plugins", "every part of gantryd is always there");
  top.NotSupported("required_plugins", "every part of gantryd is always there");
  top.NotSupported("imports", "imported files are not read");
  top.NotSupported("temp", "temporary files are made below root");
  top.NotSupported("plugin_dir", "gantry has no loadable plugins");
  top.NotSupported("timeouts", "time-outs are gantry's own");
  top.NotSupported("stream_processors", "stream processors are not built");
  top.NotSupported("cgroup", "gantryd stays in the cgroup it was started in");
}

absl::Status ValidateSocketPath(absl::string_view key, absl::string_view path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat(key, ": \"", path, "\" must be an absolute path of a unix socket"));
  }
  constexpr size_t kMost = sizeof(sockaddr_un{}.sun_path) - 1;
  if (path.size() > kMost) {
    return absl::InvalidArgumentError(absl::StrCat(key, ": \"", path, "\" is ", path.size(),
                                                   " bytes long, a socket's path has at most ",
                                                   kMost));
  }
  return absl::OkStatus();
}

// TOML's basic string.
std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&quoted, "\\u", absl::Hex(c, absl::kZeroPad4));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string QuotedList(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const std::string& text : texts) {
    absl::StrAppend(&list, list.size() > 1 ? ", " : "", Quoted(text));
  }
  return list + "]";
}

std::string Dump(const ProxyPlugin& plugin) {
  std::string text = absl::StrCat(
      "\n[proxy_plugins.", Quoted(plugin.name), "]\n  type = ", Quoted(plugin.type),
      "\n  address = ", Quoted(plugin.address), "\n  platform = ", Quoted(plugin.platform),
      "\n  capabilities = ", QuotedList(plugin.capabilities), "\n");
  if (plugin.exports.empty()) return text;
  absl::StrAppend(&text, "\n  [proxy_plugins.", Quoted(plugin.name), ".exports]\n");
  for (const auto& [key, value] : plugin.exports) {
    absl::StrAppend(&text, "    ", Quoted(key), " = ", Quoted(value), "\n");
  }
  return text;
}

}  // namespace

std::string Config::TtrpcAddress() const {
  return ttrpc.address.empty() ? absl::StrCat(grpc.address, ".ttrpc") : ttrpc.address;
}

absl::StatusOr<ParsedConfig> ParseConfig(absl::string_view text, absl::string_view file) {
  toml::table table;
  try {
    table = toml::parse(Std(text));
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", error.source().begin.line, ": ", Absl(error.description())));
  }
  ParsedConfig parsed;
  absl::Status error;
  // A file without the key is version 1, whose keys are shaped otherwise.
  const toml::node* version = table.get("version");
  if (version == nullptr && !table.empty()) {
    parsed.warnings.push_back(
        absl::StrCat(file, ": version is missing; the file is read as version 3"));
  }
  TomlTable top(table, std::string(file), "", parsed.warnings, error);
  ReadTop(top, &parsed.config);
  top.Finish();
  if (!error.ok()) return error;
  GANTRY_RETURN_IF_ERROR(Annotate(ValidateConfig(parsed.config), file));
  return parsed;
}

absl::StatusOr<ParsedConfig> LoadConfig(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  return ParseConfig(text, path);
}

absl::Status ValidateConfig(const Config& config) {
  for (const auto& [key, path] :
       {std::pair<const char*, const std::string&>("root", config.root), {"state", config.state}}) {
    if (path.empty() || path.front() != '/') {
      return absl::InvalidArgumentError(
          absl::StrCat(key, ": \"", path, "\" must be an absolute path"));
    }
  }
  if (config.root == config.state) {
    return absl::InvalidArgumentError(
        absl::StrCat("state: \"", config.state, "\" must be another directory than root"));
  }
  if (config.content_sharing_policy != "shared" && config.content_sharing_policy != "isolated") {
    return absl::InvalidArgumentError(
        absl::StrCat("plugins.\"io.containerd.metadata.v1.bolt\".content_sharing_policy: \"",
                     config.content_sharing_policy, "\" is neither shared nor isolated"));
  }
  GANTRY_RETURN_IF_ERROR(ValidateSocketPath("grpc.address", config.grpc.address));
  GANTRY_RETURN_IF_ERROR(ValidateSocketPath("ttrpc.address", config.TtrpcAddress()));
  GANTRY_RETURN_IF_ERROR(ValidateProxyPlugins(config.proxy_plugins));
  LogLevel level;
  if (!ParseLogLevel(config.log_level, &level)) {
    return absl::InvalidArgumentError(
        absl::StrCat("debug.level: \"", config.log_level,
                     "\" is none of trace, debug, info, warn, error, fatal"));
  }
  if (config.log_format != "text" && config.log_format != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("debug.format: \"", config.log_format, "\" is neither text nor json"));
  }
  return absl::OkStatus();
}

std::string DumpConfig(const Config& config) {
  std::string dump = absl::StrCat(
      "version = ", config.version, "\nroot = ", Quoted(config.root),
      "\nstate = ", Quoted(config.state), "\noom_score = ", config.oom_score,
      "\n\n[grpc]\n  address = ", Quoted(config.grpc.address), "\n  uid = ", config.grpc.uid,
      "\n  gid = ", config.grpc.gid, "\n  max_recv_message_size = ", config.max_recv_message_bytes,
      "\n  max_send_message_size = ", config.max_send_message_bytes,
      "\n\n[ttrpc]\n  address = ", Quoted(config.TtrpcAddress()), "\n  uid = ", config.ttrpc.uid,
      "\n  gid = ", config.ttrpc.gid, "\n\n[debug]\n  address = ", Quoted(config.debug.address),
      "\n  uid = ", config.debug.uid, "\n  gid = ", config.debug.gid,
      "\n  level = ", Quoted(config.log_level), "\n  format = ", Quoted(config.log_format),
      "\n\n[metrics]\n  address = ", Quoted(config.metrics_address),
      "\n  grpc_histogram = ", config.metrics_grpc_histogram ? "true" : "false",
      "\n\n[plugins.\"io.containerd.differ.v1.walking\"]\n  max_layer_bytes = ",
      config.layer.max_bytes, "\n  max_layer_ratio = ", config.layer.max_ratio,
      "\n  max_layer_entries = ", config.layer.max_entries,
      "\n\n[plugins.\"io.containerd.gc.v1.scheduler\"]\n  pause_threshold = ",
      absl::StrCat(config.gc.pause_threshold).find('.') == std::string::npos
          ? absl::StrCat(config.gc.pause_threshold, ".0")
          : absl::StrCat(config.gc.pause_threshold),
      "\n  deletion_threshold = ", config.gc.deletion_threshold,
      "\n  mutation_threshold = ", config.gc.mutation_threshold,
      "\n  schedule_delay = ", Quoted(absl::FormatDuration(config.gc.schedule_delay)),
      "\n  startup_delay = ", Quoted(absl::FormatDuration(config.gc.startup_delay)),
      "\n\n[plugins.\"io.containerd.metadata.v1.bolt\"]\n  content_sharing_policy = ",
      Quoted(config.content_sharing_policy),
      "\n\n[plugins.\"io.containerd.runtime.v2.task\"]\n  shim = ", Quoted(config.shim),
      "\n  own_runtimes = ", QuotedList(config.own_runtimes),
      "\n\n[plugins.\"io.containerd.snapshotter.v1.overlayfs\"]\n  root_path = ",
      Quoted(config.overlayfs_root),
      "\n  mount_options = ", QuotedList(config.overlayfs.mount_options),
      "\n  upperdir_label = ", config.overlayfs.upperdir_label ? "true" : "false",
      "\n  sync_remove = ", config.overlayfs.sync_remove ? "true" : "false",
      "\n  slow_chown = ", config.overlayfs.slow_chown ? "true" : "false",
      "\n\n[plugins.\"io.containerd.snapshotter.v1.native\"]\n  root_path = ",
      Quoted(config.native_root), "\n");
  for (const ProxyPlugin& plugin : config.proxy_plugins) dump += Dump(plugin);
  return dump;
}

}  // namespace gantry::daemon
