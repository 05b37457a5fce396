// state, list, ps: what there is.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/time.h"
#include "cli/flags.h"
#include "cli/loaded_container.h"

extern char** environ;

namespace gantry::cli {
namespace {

// In runc's order, which people read.
using OrderedJson = nlohmann::ordered_json;

int ShownPid(const LoadedContainer& loaded) {
  return loaded.status == ContainerStatus::kStopped ? 0 : loaded.record.init.pid;
}

std::string OwnerOf(const LoadedContainer& loaded) {
  const absl::StatusOr<uid_t> uid = loaded.dir.Owner();
  if (!uid.ok()) return "";
  if (*uid == 0) return "root";
  // Read rather than asked for with getpwuid(3), which a static program cannot do everywhere.
  const absl::StatusOr<std::string> passwd = ReadFile("/etc/passwd");
  if (passwd.ok()) {
    for (const absl::string_view line : absl::StrSplit(*passwd, '\n')) {
      const std::vector<std::string> fields = absl::StrSplit(line, ':');
      uid_t id = 0;
      if (fields.size() > 2 && absl::SimpleAtoi(fields[2], &id) && id == *uid) return fields[0];
    }
  }
  return absl::StrCat("#", *uid);
}

OrderedJson ToJson(const LoadedContainer& loaded, const std::string& owner) {
  const ContainerRecord& record = loaded.record;
  OrderedJson json;
  json["ociVersion"] = record.oci_version;
  json["id"] = record.id;
  json["pid"] = ShownPid(loaded);
  json["status"] = StatusName(loaded.status);
  json["bundle"] = record.bundle;
  json["rootfs"] = record.rootfs;
  json["created"] = FormatRfc3339(record.created);
  if (!record.annotations.empty()) json["annotations"] = record.annotations;
  json["owner"] = owner;
  return json;
}

std::string Dump(const OrderedJson& json, int indent) {
  return json.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

// Columns as wide as their longest cell and three spaces, at least twelve; the last is open.
void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  constexpr size_t kLeast = 12;
  constexpr size_t kPadding = 3;
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(row.size(), kLeast);
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size() + kPadding);
    }
  }
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      std::printf("%-*s", static_cast<int>(widths[i]), row[i].c_str());
    }
    std::printf("%s\n", row.back().c_str());
  }
}

// What `ps` prints. Errors: why it cannot be run, or its status.
absl::StatusOr<std::string> OutputOfPs(const std::vector<std::string>& args) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoError(errno, "make a pipe");
  const UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  std::vector<char*> argv = {const_cast<char*>("ps")};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, "ps", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "run ps");
  write_end.reset();
  absl::StatusOr<std::string> output = ReadFd(read_end.get(), 64 << 20, "the output of ps");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (output.ok() && status != 0) {
    return absl::InvalidArgumentError(absl::StrCat("ps failed with status ", WEXITSTATUS(status)));
  }
  return output;
}

// The header and the lines whose column PID is one of `pids`.
absl::Status PrintProcesses(const std::string& output, const std::set<pid_t>& pids) {
  const std::vector<std::string> lines = absl::StrSplit(output, '\n');
  const std::vector<std::string> header =
      absl::StrSplit(lines[0], absl::ByAnyChar(" \t"), absl::SkipEmpty());
  size_t column = 0;
  while (column < header.size() && header[column] != "PID") ++column;
  if (column == header.size()) {
    return absl::InvalidArgumentError("couldn't find PID field in ps output");
  }
  std::printf("%s\n", lines[0].c_str());
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> fields =
        absl::StrSplit(lines[i], absl::ByAnyChar(" \t"), absl::SkipEmpty());
    pid_t pid = 0;
    if (fields.size() <= column || !absl::SimpleAtoi(fields[column], &pid)) continue;
    if (pids.count(pid) != 0) std::printf("%s\n", lines[i].c_str());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> RunState(const GlobalOptions& global, const std::vector<std::string>& args) {
  Flags flags(Flags::Order::kAnywhere);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("state", rest, 1, 1));
  GANTRY_ASSIGN_OR_RETURN(const LoadedContainer loaded, LoadContainer(global, rest[0]));
  std::printf("%s", Dump(ToJson(loaded, ""), 2).c_str());
  return 0;
}

absl::StatusOr<int> RunList(const GlobalOptions& global, const std::vector<std::string>& args) {
  std::string format = "table";
  bool quiet = false;
  Flags flags(Flags::Order::kAnywhere);
  flags.Text("--format,-f", &format);
  flags.Bool("--quiet,-q", &quiet);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("list", rest, 0, 0));
  if (format != "table" && format != "json") {
    return absl::InvalidArgumentError("invalid format option");
  }
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> ids, StateStore(global.root).List());
  std::vector<std::vector<std::string>> table = {
      {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  OrderedJson json;  // null, as runc, if there is none
  for (const std::string& id : ids) {
    const absl::StatusOr<LoadedContainer> loaded = LoadContainer(global, id);
    // One that is being made or deleted meanwhile is passed over.
    if (absl::IsNotFound(loaded.status())) continue;
    if (!loaded.ok()) {
      std::fprintf(stderr, "load container %s: %s\n", id.c_str(),
                   std::string(loaded.status().message()).c_str());
      continue;
    }
    if (quiet) {
      std::printf("%s\n", id.c_str());
    } else if (format == "json") {
      json.push_back(ToJson(*loaded, OwnerOf(*loaded)));
    } else {
      table.push_back({id, absl::StrCat(ShownPid(*loaded)), StatusName(loaded->status),
                       loaded->record.bundle, FormatRfc3339(loaded->record.created),
                       OwnerOf(*loaded)});
    }
  }
  if (!quiet && format == "json") std::printf("%s\n", Dump(json, -1).c_str());
  if (!quiet && format == "table") PrintTable(table);
  return 0;
}

absl::StatusOr<int> RunPs(const GlobalOptions& global, const std::vector<std::string>& args) {
  std::string format = "table";
  Flags flags(Flags::Order::kBeforeArguments);
  flags.Text("--format,-f", &format);
  GANTRY_ASSIGN_OR_RETURN(std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("ps", rest, 1, SIZE_MAX));
  if (format != "table" && format != "json") {
    return absl::InvalidArgumentError("invalid format option");
  }
  GANTRY_ASSIGN_OR_RETURN(const LoadedContainer loaded, LoadContainer(global, rest[0]));
  GANTRY_ASSIGN_OR_RETURN(const std::vector<pid_t> pids, loaded.container->Pids());
  if (format == "json") {
    std::printf("%s\n", DumpJson(Json(pids)).c_str());
    return 0;
  }
  rest.erase(rest.begin());
  if (rest.empty()) rest = {"-ef"};
  GANTRY_ASSIGN_OR_RETURN(const std::string output, OutputOfPs(rest));
  GANTRY_RETURN_IF_ERROR(PrintProcesses(output, {pids.begin(), pids.end()}));
  return 0;
}

}  // namespace gantry::cli
