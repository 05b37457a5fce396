#include "runtime/cgroup/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::runtime {
namespace {

constexpr size_t kMaxFile = 4 << 20;

// The cgroups below `fd`; only directories are, the rest are the kernel's files.
absl::StatusOr<std::vector<std::string>> Children(int fd, absl::string_view what) {
  struct stat st {};
  // kernfs counts as others do: one link from above, one from within, one from each directory
  // below.
  if (::fstat(fd, &st) == 0 && st.st_nlink == 2) return std::vector<std::string>();
  struct Closer {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  GANTRY_ASSIGN_OR_RETURN(UniqueFd copy, OpenFileAt(fd, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, Closer> dir(::fdopendir(copy.get()));
  if (dir == nullptr) return ErrnoError(errno, absl::StrCat("list cgroup ", what));
  (void)copy.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

absl::Status RemoveAt(int parent, const std::string& name, const std::string& shown) {
  // Most have nothing below them, so the whole is one call.
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT)
    return absl::OkStatus();
  const int error = errno;
  if (error != EBUSY && error != ENOTEMPTY)
    return ErrnoError(error, absl::StrCat("remove cgroup ", shown));
  absl::StatusOr<UniqueFd> fd = OpenFileAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd.ok()) return absl::IsNotFound(fd.status()) ? absl::OkStatus() : fd.status();
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> children, Children(fd->get(), shown));
  if (children.empty()) return ErrnoError(error, absl::StrCat("remove cgroup ", shown));
  for (const std::string& child : children) {
    GANTRY_RETURN_IF_ERROR(RemoveAt(fd->get(), child, absl::StrCat(shown, "/", child)));
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return ErrnoError(errno, absl::StrCat("remove cgroup ", shown));
  }
  return absl::OkStatus();
}

using Visit = std::function<absl::Status(int fd, const std::string& path, std::set<pid_t> pids)>;

// Calls `visit` with each cgroup at and below `fd`; one that is removed meanwhile is passed over.
absl::Status Walk(int fd, const std::string& path, const Visit& visit) {
  absl::StatusOr<UniqueFd> file = OpenFileAt(fd, "cgroup.procs", O_RDONLY);
  if (!file.ok()) return absl::IsNotFound(file.status()) ? absl::OkStatus() : file.status();
  const absl::StatusOr<std::string> text = ReadFd(file->get(), kMaxFile, path);
  std::set<pid_t> pids;
  if (text.ok()) {
    for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      pid_t pid = 0;
      // 0 is a process of a pid namespace that is not below ours.
      if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.insert(pid);
    }
  } else if (ErrnoOf(text.status()) != EOPNOTSUPP) {  // EOPNOTSUPP: a threaded one of v2
    return ErrnoOf(text.status()) == ENODEV ? absl::OkStatus() : text.status();
  }
  GANTRY_RETURN_IF_ERROR(visit(fd, path, std::move(pids)));
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> children, Children(fd, path));
  for (const std::string& child : children) {
    absl::StatusOr<UniqueFd> below = OpenFileAt(fd, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!below.ok()) {
      if (absl::IsNotFound(below.status())) continue;
      return below.status();
    }
    GANTRY_RETURN_IF_ERROR(Walk(below->get(), absl::StrCat(path, "/", child), visit));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CgroupDir> CgroupDir::MakeFresh(const std::string& path, bool* made) {
  // Mostly only the last is missing, so the parents are looked at when that failed.
  *made = ::mkdir(path.c_str(), 0755) == 0;
  if (!*made && errno == ENOENT) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(path.substr(0, path.rfind('/')), 0755));
    *made = ::mkdir(path.c_str(), 0755) == 0;
  }
  if (!*made && errno == EEXIST && ::rmdir(path.c_str()) == 0) {
    *made = ::mkdir(path.c_str(), 0755) == 0;
  }
  if (*made) return Open(path);
  if (errno != EEXIST && errno != EBUSY && errno != ENOTEMPTY) {
    return ErrnoError(errno, absl::StrCat("create cgroup ", path));
  }
  GANTRY_ASSIGN_OR_RETURN(CgroupDir dir, Open(path));
  std::set<pid_t> pids;
  GANTRY_RETURN_IF_ERROR(dir.CollectPids(&pids));
  if (pids.empty()) return dir;
  return absl::FailedPreconditionError(
      absl::StrCat("cgroup ", path, " exists and holds processes"));
}

absl::StatusOr<CgroupDir> CgroupDir::Open(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  return CgroupDir(path, std::move(fd));
}

absl::StatusOr<UniqueFd> CgroupDir::Duplicate() const {
  return OpenFileAt(fd_.get(), ".", O_RDONLY | O_DIRECTORY);
}

bool CgroupDir::Has(const char* file) const { return ::faccessat(fd_.get(), file, F_OK, 0) == 0; }

absl::Status CgroupDir::Write(const char* file, absl::string_view value) const {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFileAt(fd_.get(), file, O_WRONLY));
  ssize_t put;
  do {
    put = ::write(fd.get(), value.data(), value.size());
  } while (put < 0 && errno == EINTR);
  if (put < 0)
    return ErrnoError(errno, absl::StrCat("write \"", value, "\" to ", path_, "/", file));
  return absl::OkStatus();
}

absl::StatusOr<std::string> CgroupDir::Read(const char* file) const {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFileAt(fd_.get(), file, O_RDONLY));
  return ReadFd(fd.get(), kMaxFile, absl::StrCat(path_, "/", file));
}

absl::StatusOr<uint64_t> CgroupDir::ReadNumber(const char* file) const {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, Read(file));
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (trimmed == "max") return UINT64_MAX;
  uint64_t number = 0;
  int64_t signed_number = 0;
  if (absl::SimpleAtoi(trimmed, &number)) return number;
  if (absl::SimpleAtoi(trimmed, &signed_number)) return UINT64_MAX;  // -1: no limit
  return absl::DataLossError(absl::StrCat(path_, "/", file, ": \"", trimmed, "\" is not a number"));
}

absl::Status CgroupDir::CollectPids(std::set<pid_t>* pids) const {
  return Walk(fd_.get(), path_, [pids](int, const std::string&, std::set<pid_t> here) {
    pids->merge(std::move(here));
    return absl::OkStatus();
  });
}

absl::StatusOr<CgroupDir> CgroupDir::OfLowestPid() const {
  pid_t lowest = 0;
  UniqueFd fd;
  std::string path;
  GANTRY_RETURN_IF_ERROR(
      Walk(fd_.get(), path_, [&](int at, const std::string& shown, std::set<pid_t> pids) {
        if (pids.empty() || (lowest != 0 && *pids.begin() >= lowest)) return absl::OkStatus();
        absl::StatusOr<UniqueFd> copy = OpenFileAt(at, ".", O_RDONLY | O_DIRECTORY);
        if (!copy.ok()) return copy.status();
        lowest = *pids.begin();
        fd = *std::move(copy);
        path = shown;
        return absl::OkStatus();
      }));
  if (lowest == 0) return absl::NotFoundError(absl::StrCat("cgroup ", path_, " is empty"));
  return CgroupDir(std::move(path), std::move(fd));
}

absl::Status CgroupDir::Remove() const { return RemoveAt(AT_FDCWD, path_, path_); }

}  // namespace gantry::runtime
