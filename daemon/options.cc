#include "daemon/options.h"

#include <CLI/CLI.hpp>

#include "base/errors.h"
#include "daemon/version.h"

namespace gantry::daemon {
namespace {

struct Flags {
  std::string config = std::string(kDefaultConfigPath);
  std::string address;
  std::string root;
  std::string state;
  std::string log_level;
  std::string services;
  std::string trace_start;
};

absl::StatusOr<ParsedConfig> LoadOrDefault(const std::string& path, bool named) {
  absl::StatusOr<ParsedConfig> parsed = LoadConfig(path);
  if (!parsed.ok() && absl::IsNotFound(parsed.status()) && !named) return ParsedConfig{};
  return parsed;
}

void Override(const std::string& flag, std::string* value) {
  if (!flag.empty()) *value = flag;
}

}  // namespace

absl::StatusOr<ParsedOptions> ParseOptions(int argc, char** argv) {
  Flags flags;
  CLI::App app("A container runtime daemon that speaks containerd's API.", "gantryd");
  app.set_version_flag("-v,--version", absl::StrCat("gantryd ", kVersion, " ", kRevision));
  CLI::Option* config_flag =
      app.add_option("-c,--config", flags.config, "Configuration file")->capture_default_str();
  app.add_option("-a,--address", flags.address, "Path of the API's unix socket");
  app.add_option("--root", flags.root, "Directory of what lasts: content, snapshots, metadata");
  app.add_option("--state", flags.state, "Directory of what a reboot ends: tasks, sockets");
  app.add_option("-l,--log-level", flags.log_level, "trace, debug, info, warn, error or fatal");
  CLI::Option* services_flag = app.add_option(
      "--services", flags.services, "Serve these alone, in a list with commas (content,snapshots)");
  app.add_option("--trace-start", flags.trace_start,
                 "Append the time of every step of container starts to this file");
  CLI::App* config_command = app.add_subcommand("config", "Show the configuration");
  CLI::App* default_command =
      config_command->add_subcommand("default", "The configuration without a file or flags");
  CLI::App* dump_command =
      config_command->add_subcommand("dump", "The configuration that would be used");
  config_command->require_subcommand(1);
  ParsedOptions parsed;
  Options& options = parsed.options;
  CLI::App* check_command = app.add_subcommand(
      "check",
      "Hold the records against what is there, while no daemon runs: exit 1 if they differ");
  check_command->add_flag("--repair", options.repair, "Mend what can be mended safely");
  check_command->add_flag("--json", options.json, "Print each difference as a JSON object");
  check_command->add_flag("--quick", options.quick, "Compare sizes of blobs, not their digests");
  CLI::App* backup_command =
      app.add_subcommand("backup", "Copy the root, also under a running daemon");
  backup_command->add_option("directory", options.backup_directory, "An empty or absent directory")
      ->required();
  CLI::App* publish_command =
      app.add_subcommand("publish", "Publish the event on standard input, a google.protobuf.Any");
  publish_command->add_option("--topic", options.event_topic, "Such as /tasks/exit");
  publish_command->add_option("--namespace", options.event_namespace, "Of what it is about");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Prints help, version or the usage error itself.
    return ParsedOptions{.exit_code = app.exit(error)};
  }

  if (default_command->parsed()) {
    options.command = Command::kConfigDefault;
    return parsed;
  }
  if (dump_command->parsed()) options.command = Command::kConfigDump;
  if (check_command->parsed()) options.command = Command::kCheck;
  if (backup_command->parsed()) options.command = Command::kBackup;
  if (publish_command->parsed()) options.command = Command::kPublish;
  GANTRY_ASSIGN_OR_RETURN(ParsedConfig file, LoadOrDefault(flags.config, config_flag->count() > 0));
  options.config = std::move(file.config);
  options.warnings = std::move(file.warnings);
  Override(flags.address, &options.config.grpc.address);
  Override(flags.root, &options.config.root);
  Override(flags.state, &options.config.state);
  Override(flags.log_level, &options.config.log_level);
  options.trace_start = flags.trace_start;
  if (services_flag->count() > 0) {
    GANTRY_ASSIGN_OR_RETURN(options.config.services, ServiceSet::Parse(flags.services));
  }
  GANTRY_RETURN_IF_ERROR(ValidateConfig(options.config));
  return parsed;
}

}  // namespace gantry::daemon
