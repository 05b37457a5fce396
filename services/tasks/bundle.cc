#include "services/tasks/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"

namespace gantry::tasks {
namespace {

constexpr size_t kHashDigits = 16;

std::string File(const std::string& bundle, absl::string_view name) {
  return absl::StrCat(bundle, "/", name);
}

absl::Status WriteSmall(const std::string& path, absl::string_view bytes) {
  return WriteFileAtomic(path, bytes, 0600, Durability::kNotDurable);
}

}  // namespace

std::string Bundles::Path(absl::string_view ns, absl::string_view id) const {
  return absl::StrCat(state_dir_, "/tasks/", ns, "/", id);
}

std::string Bundles::SocketPath(absl::string_view ns, absl::string_view id) const {
  // A slash is in no identifier, so different tasks have different names before hashing.
  const std::string hex(Sha256(absl::StrCat(ns, "/", id)).hex());
  return absl::StrCat(state_dir_, "/s/", hex.substr(0, kHashDigits));
}

absl::StatusOr<std::string> Bundles::Create(absl::string_view ns, absl::string_view id,
                                            absl::string_view config) const {
  const std::string path = Path(ns, id);
  GANTRY_RETURN_IF_ERROR(RemoveTree(path));
  // 0711: a container's root in a user namespace passes through to its rootfs and reads nothing.
  GANTRY_RETURN_IF_ERROR(MakeDirectories(path, 0711));
  absl::Status status = WriteSmall(File(path, "config.json"), config);
  if (status.ok()) status = MakeDirectories(File(path, "rootfs"), 0711);
  if (status.ok()) status = MakeDirectories(File(path, "execs"), 0700);
  if (status.ok()) return path;
  RemoveTree(path).IgnoreError();
  return status;
}

absl::Status Bundles::Remove(absl::string_view ns, absl::string_view id) const {
  return RemoveTree(Path(ns, id));
}

absl::StatusOr<std::string> Bundles::Discard(absl::string_view ns, absl::string_view id) const {
  const std::string path = Path(ns, id);
  const std::string gone = absl::StrCat(state_dir_, "/gone");
  GANTRY_RETURN_IF_ERROR(MakeDirectories(gone, 0700));
  std::string away = absl::StrCat(gone, "/", RandomHex(8));
  if (::rename(path.c_str(), away.c_str()) == 0) return away;
  if (errno == ENOENT) return std::string();
  return ErrnoError(errno, absl::StrCat("rename ", path, " away"));
}

std::vector<std::string> Bundles::ListDiscarded() const {
  const std::string gone = absl::StrCat(state_dir_, "/gone");
  std::vector<std::string> paths;
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(gone);
  if (!names.ok()) return paths;
  for (const std::string& name : *names) paths.push_back(absl::StrCat(gone, "/", name));
  return paths;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Bundles::List() const {
  std::vector<std::pair<std::string, std::string>> found;
  const std::string root = absl::StrCat(state_dir_, "/tasks");
  absl::StatusOr<std::vector<std::string>> namespaces = ListDirectory(root);
  if (absl::IsNotFound(namespaces.status())) return found;
  GANTRY_RETURN_IF_ERROR(namespaces.status());
  for (const std::string& ns : *namespaces) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                            ListDirectory(absl::StrCat(root, "/", ns)));
    for (const std::string& id : ids) found.emplace_back(ns, id);
  }
  return found;
}

absl::Status WriteAddress(const std::string& bundle, const ShimAddress& address) {
  const Json json = {{"version", address.version},
                     {"address", absl::StrCat("unix://", address.socket)},
                     {"protocol", "ttrpc"},
                     {"binary", address.binary},
                     {"pid", std::max(address.pid, 0)},
                     {"start_time", address.start_time},
                     {"boot_id", address.boot_id}};
  return WriteSmall(File(bundle, "bootstrap.json"), DumpJson(json));
}

absl::StatusOr<ShimAddress> ReadAddress(const std::string& bundle) {
  const std::string path = File(bundle, "bootstrap.json");
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 16));
  absl::StatusOr<Json> json = ParseJson(text, path);
  if (!json.ok()) return WithCode(json.status(), absl::StatusCode::kDataLoss);
  const auto string = [&](const char* key) {
    const auto found = json->find(key);
    return found != json->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto number = [&](const char* key) -> uint64_t {
    const auto found = json->find(key);
    return found != json->end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
  };
  if (!json->is_object()) return absl::DataLossError(absl::StrCat(path, ": not a JSON object"));
  constexpr absl::string_view kScheme = "unix://";
  ShimAddress address;
  address.socket = string("address");
  if (address.socket.compare(0, kScheme.size(), kScheme.data(), kScheme.size()) != 0 ||
      (number("pid") == 0 && string("binary").empty())) {
    return absl::DataLossError(absl::StrCat(path, ": no address or no pid"));
  }
  address.socket.erase(0, kScheme.size());
  address.version = number("version") == 3 ? 3 : 2;
  address.binary = string("binary");
  address.pid = static_cast<pid_t>(number("pid"));
  address.start_time = number("start_time");
  address.boot_id = string("boot_id");
  return address;
}

uint32_t ReadInitPid(const std::string& bundle) {
  const absl::StatusOr<std::string> text = ReadFile(File(bundle, "init.pid"), 64);
  uint32_t pid = 0;
  return text.ok() && absl::SimpleAtoi(*text, &pid) ? pid : 0;
}

absl::Status AddExecRecord(const std::string& bundle, const std::string& exec_id) {
  return OpenFile(absl::StrCat(bundle, "/execs/", exec_id), O_CREAT | O_WRONLY, 0600).status();
}

void RemoveExecRecord(const std::string& bundle, const std::string& exec_id) {
  // Gone already with the bundle is as good; an exec that is recorded but unknown to the shim is
  // dropped by the next restore.
  ::unlink(absl::StrCat(bundle, "/execs/", exec_id).c_str());
}

std::vector<std::string> ListExecRecords(const std::string& bundle) {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(absl::StrCat(bundle, "/execs"));
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

absl::StatusOr<std::string> CgroupsPathOf(absl::string_view config) {
  GANTRY_ASSIGN_OR_RETURN(const Json json, ParseJson(config, "container spec"));
  if (!json.is_object()) {
    return absl::InvalidArgumentError("container spec: not a JSON object");
  }
  const auto in_linux = json.find("linux");
  if (in_linux == json.end() || !in_linux->is_object()) return std::string();
  const auto path = in_linux->find("cgroupsPath");
  if (path == in_linux->end() || !path->is_string()) return std::string();
  return path->get<std::string>();
}

absl::StatusOr<uint64_t> StartTimeOf(pid_t pid) {
  GANTRY_ASSIGN_OR_RETURN(const std::string stat,
                          ReadFile(absl::StrCat("/proc/", pid, "/stat"), 4096));
  // The second field is the program's name in parentheses and may hold anything, ")" too.
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) {
    return absl::InternalError(absl::StrCat("read start time of process ", pid));
  }
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
  constexpr size_t kStartTime = 22 - 3;  // the first of these is field 3
  uint64_t ticks = 0;
  if (fields.size() <= kStartTime || !absl::SimpleAtoi(fields[kStartTime], &ticks)) {
    return absl::InternalError(absl::StrCat("read start time of process ", pid));
  }
  return ticks;
}

absl::StatusOr<std::string> BootId() {
  GANTRY_ASSIGN_OR_RETURN(std::string text, ReadFile("/proc/sys/kernel/random/boot_id", 256));
  absl::StripTrailingAsciiWhitespace(&text);
  return text;
}

}  // namespace gantry::tasks
