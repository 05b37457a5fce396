#include <cstdio>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "cli/command.h"
#include "cli/error_log.h"
#include "cli/flags.h"
#include "cli/help.h"
#include "cli/inherited_fds.h"
#include "cli/protect_binary.h"
#include "cli/state_store.h"
#include "cli/version.h"

namespace gantry::cli {
namespace {

// The kernel's reason at the end of a message begins with a small letter, as the language of runc
// writes it: "no such file or directory", which engines look for.
std::string InSmallLetters(const absl::Status& status) {
  std::string message(status.message());
  const int error = ErrnoOf(status);
  const absl::string_view reason = error == 0 ? "" : std::strerror(error);
  if (!reason.empty() && absl::EndsWith(message, reason)) {
    char& first = message[message.size() - reason.size()];
    first = absl::ascii_tolower(first);
  }
  return message;
}

// A command's last error: on standard error for people, in the log for the engine that called.
int Fail(const absl::Status& status, absl::string_view prefix, int exit_status) {
  const std::string message = InSmallLetters(status);
  // Some of the library's sentences begin that way already.
  ReportError(absl::StartsWith(message, prefix) ? message : absl::StrCat(prefix, message));
  return exit_status;
}

int RunOne(const Command& command, const GlobalOptions& global,
           const std::vector<std::string>& args) {
  if (!args.empty() && (args[0] == "--help" || args[0] == "-h" || args[0] == "-help")) {
    PrintHelp(command);
    return 0;
  }
  const absl::StatusOr<int> result = command.run(global, args);
  if (result.ok()) return *result;
  if (IsUsageError(result.status())) {
    std::printf("Incorrect Usage.\n\n");
    PrintHelp(command);
    return Fail(result.status(), "", 1);
  }
  return Fail(result.status(), command.error_prefix, command.error_status);
}

// The commands that put a process into a container.
bool EntersContainer(const std::vector<std::string>& args) {
  for (const std::string& arg : args) {
    if (arg == "create" || arg == "run" || arg == "exec") return true;
  }
  return false;
}

int Main(std::vector<std::string> args) {
  GlobalOptions global;
  global.root = DefaultRoot();
  bool version = false;
  bool help = false;
  Flags flags(Flags::Order::kBeforeArguments);
  flags.Text("--root", &global.root);
  flags.Text("--log", &global.log);
  flags.Text("--log-format", &global.log_format);
  flags.Text("--criu", &global.criu);
  flags.Text("--rootless", &global.rootless);
  flags.Bool("--debug", &global.debug);
  flags.Bool("--systemd-cgroup", &global.systemd_cgroup);
  flags.Bool("--version,-v", &version);
  flags.Bool("--help,-h", &help);
  const absl::StatusOr<std::vector<std::string>> rest = flags.Parse(std::move(args));
  if (const absl::Status opened = OpenErrorLog(global); !opened.ok()) return Fail(opened, "", 1);
  if (!rest.ok()) return Fail(rest.status(), "", 1);
  if (version) {
    PrintVersion();
    return 0;
  }
  if (help || rest->empty() || rest->front() == "help" || rest->front() == "h") {
    PrintOverview();
    return 0;
  }
  const Command* const command = FindCommand(rest->front());
  if (command == nullptr) {
    return Fail(absl::NotFoundError(absl::StrCat("No help topic for '", rest->front(), "'")), "",
                3);
  }
  if (const absl::Status root = MakeRootAbsolute(&global); !root.ok()) return Fail(root, "", 1);
  return RunOne(*command, global, {rest->begin() + 1, rest->end()});
}

}  // namespace
}  // namespace gantry::cli

int main(int argc, char** argv) {
  using namespace gantry::cli;
  NoteInheritedFds();
  std::vector<std::string> args(argv + 1, argv + argc);
  // Before anything costs time: it may start the program once more.
  if (EntersContainer(args)) {
    const absl::Status safe = ProtectBinary(argv);
    if (!safe.ok()) return Fail(safe, "", 1);
  }
  return Main(std::move(args));
}
