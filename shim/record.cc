#include "shim/record.h"

#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"

namespace gantry::shim {

std::string StartTimeOf(pid_t pid) {
  const absl::StatusOr<std::string> stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"), 4096);
  if (!stat.ok()) return "";
  // The second field is the program's name in parentheses and may hold anything, ")" too.
  const size_t name_end = stat->rfind(") ");
  if (name_end == std::string::npos) return "";
  const std::vector<std::string> fields = absl::StrSplit(stat->substr(name_end + 2), ' ');
  constexpr size_t kStartTime = 22 - 3;  // the first of these is field 3
  return fields.size() > kStartTime ? fields[kStartTime] : "";
}

absl::Status WriteContainerRecord(const std::string& bundle, const ContainerRecord& record) {
  const Json state = {{"init_pid", record.init_pid},
                      {"init_start_time", record.init_start_time},
                      {"cgroups_path", record.cgroups_path},
                      {"shim_pid", ::getpid()}};
  GANTRY_RETURN_IF_ERROR(WriteFileAtomic(absl::StrCat(bundle, "/shim.json"), DumpJson(state), 0644,
                                         Durability::kNotDurable));
  return WriteFileAtomic(absl::StrCat(bundle, "/init.pid"), absl::StrCat(record.init_pid), 0644,
                         Durability::kNotDurable);
}

absl::StatusOr<ContainerRecord> ReadContainerRecord(const std::string& bundle) {
  const std::string path = absl::StrCat(bundle, "/shim.json");
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 16));
  GANTRY_ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  const auto string = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  ContainerRecord record;
  if (json.is_object()) {
    const auto pid = json.find("init_pid");
    if (pid != json.end() && pid->is_number_integer()) record.init_pid = pid->get<pid_t>();
    record.init_start_time = string("init_start_time");
    record.cgroups_path = string("cgroups_path");
  }
  if (record.init_pid <= 0 || record.cgroups_path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no pid or no cgroup"));
  }
  return record;
}

}  // namespace gantry::shim
