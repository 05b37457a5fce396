#ifndef GANTRY_RUNTIME_CGROUP_DIRECTORY_H_
#define GANTRY_RUNTIME_CGROUP_DIRECTORY_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry::runtime {

// Whether limits are written into a cgroup that was just made, or into one that may hold processes.
enum class CgroupAge { kNew, kExisting };

// One cgroup's directory in one hierarchy, held open. Its files are reached through the descriptor.
class CgroupDir {
 public:
  // Makes the directory and its missing parents. One that was left behind empty is replaced, so
  // that its old limits are gone; one with cgroups below it is taken as it is, and `made` is false
  // then. `path` holds no ".." (CgroupDirectory), and a cgroup file system has no symbolic links:
  // it cannot lead elsewhere. Errors: FailedPrecondition if there are processes in it.
  static absl::StatusOr<CgroupDir> MakeFresh(const std::string& path, bool* made);
  // Errors: NotFound.
  static absl::StatusOr<CgroupDir> Open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  absl::StatusOr<UniqueFd> Duplicate() const;
  [[nodiscard]] bool Has(const char* file) const;
  absl::Status Write(const char* file, absl::string_view value) const;
  // The whole file. Errors: NotFound where the kernel has no such file.
  absl::StatusOr<std::string> Read(const char* file) const;
  // A file that holds one number; "max" is UINT64_MAX.
  absl::StatusOr<uint64_t> ReadNumber(const char* file) const;

  // Processes of this cgroup and of those below it.
  absl::Status CollectPids(std::set<pid_t>* pids) const;
  // The one, of this cgroup and of those below it, that holds the process with the lowest number:
  // mostly a container's init. Errors: NotFound without any process.
  absl::StatusOr<CgroupDir> OfLowestPid() const;
  // Removes it and what is below it, deepest first. Absent is OK. Errors: FailedPrecondition
  // (EBUSY) while a process is left in it.
  absl::Status Remove() const;

 private:
  CgroupDir(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  UniqueFd fd_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_DIRECTORY_H_
