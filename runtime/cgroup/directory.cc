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
constexpr size_t kMaxDepth = 1 << 16;

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
    // A container may give its cgroups names that begin with a dot.
    const absl::string_view name(entry->d_name);
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

// One step down or up. No link is followed; ".." is the parent, since a cgroup can be renamed but
// not moved.
absl::StatusOr<UniqueFd> Step(int from, const std::string& name) {
  return OpenFileAt(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

using Enter = std::function<absl::Status(int fd, const std::string& path)>;
using Leave = std::function<absl::Status(int parent, const std::string& name)>;

// Goes through the cgroups below `fd`: `enter` is called with each, itself too, before those below
// it, `leave` with each but itself after them. One that is removed meanwhile is passed over. A
// container that may make cgroups can nest them as deep as it likes: one descriptor is open at a
// time, nothing calls itself, and each is listed once.
absl::Status Traverse(int fd, const std::string& top, const Enter& enter, const Leave& leave) {
  struct Level {
    std::string name;
    std::vector<std::string> children;  // still to be entered
    size_t path_size;
  };
  std::string path = top;
  UniqueFd below;  // where it is; empty at the top, whose descriptor is the caller's
  std::vector<Level> levels;
  std::string name;
  for (bool arrived = true;;) {
    const int at = below.valid() ? below.get() : fd;
    if (arrived) {
      GANTRY_RETURN_IF_ERROR(enter(at, path));
      GANTRY_ASSIGN_OR_RETURN(std::vector<std::string> children, Children(at, top));
      levels.push_back(Level{name, std::move(children), path.size()});
      if (levels.size() > kMaxDepth) {
        return absl::ResourceExhaustedError(absl::StrCat("cgroups are nested too deep in ", top));
      }
    }
    Level& level = levels.back();
    if (!level.children.empty()) {
      name = std::move(level.children.back());
      level.children.pop_back();
      absl::StatusOr<UniqueFd> child = Step(at, name);
      arrived = child.ok();
      if (absl::IsNotFound(child.status())) continue;
      if (!child.ok()) return child.status();
      below = *std::move(child);
      absl::StrAppend(&path, "/", name);
      continue;
    }
    const std::string left = std::move(level.name);
    levels.pop_back();
    if (levels.empty()) return absl::OkStatus();
    arrived = false;
    path.resize(levels.back().path_size);
    if (levels.size() == 1) {
      below.reset();
    } else {
      absl::StatusOr<UniqueFd> parent = Step(below.get(), "..");
      // The whole branch is gone; who removes or kills looks again.
      if (absl::IsNotFound(parent.status())) return absl::OkStatus();
      if (!parent.ok()) return parent.status();
      below = *std::move(parent);
    }
    if (leave) GANTRY_RETURN_IF_ERROR(leave(below.valid() ? below.get() : fd, left));
  }
}

absl::Status RemoveEmpty(int parent, const std::string& name, const std::string& shown) {
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  return ErrnoError(errno, absl::StrCat("remove cgroup ", shown));
}

absl::Status RemoveTreeOf(const std::string& path) {
  // Most have nothing below them, so the whole is one call.
  const absl::Status removed = RemoveEmpty(AT_FDCWD, path, path);
  if (ErrnoOf(removed) != EBUSY && ErrnoOf(removed) != ENOTEMPTY) return removed;
  const absl::StatusOr<UniqueFd> top = Step(AT_FDCWD, path);
  if (!top.ok()) return absl::IsNotFound(top.status()) ? absl::OkStatus() : top.status();
  GANTRY_RETURN_IF_ERROR(Traverse(
      top->get(), path, [](int, const std::string&) { return absl::OkStatus(); },
      [&path](int parent, const std::string& name) {
        return RemoveEmpty(parent, name, absl::StrCat(name, " below ", path));
      }));
  return RemoveEmpty(AT_FDCWD, path, path);
}

// The processes of the one at `fd`; none if it is gone.
absl::StatusOr<std::set<pid_t>> PidsAt(int fd, const std::string& path) {
  std::set<pid_t> pids;
  absl::StatusOr<UniqueFd> file = OpenFileAt(fd, "cgroup.procs", O_RDONLY);
  if (absl::IsNotFound(file.status())) return pids;
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::string> text = ReadFd(file->get(), kMaxFile, path);
  if (!text.ok()) {
    // EOPNOTSUPP: a threaded one of v2.
    const int error = ErrnoOf(text.status());
    if (error == EOPNOTSUPP || error == ENODEV) return pids;
    return text.status();
  }
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    pid_t pid = 0;
    // 0 is a process of a pid namespace that is not below ours.
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.insert(pid);
  }
  return pids;
}

using Visit = std::function<absl::Status(int fd, const std::string& path, std::set<pid_t> pids)>;

// Calls `visit` with each cgroup at and below `fd`.
absl::Status Walk(int fd, const std::string& top, const Visit& visit) {
  return Traverse(
      fd, top,
      [&visit](int at, const std::string& path) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(std::set<pid_t> pids, PidsAt(at, path));
        return visit(at, path, std::move(pids));
      },
      nullptr);
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

absl::Status CgroupDir::Remove() const { return RemoveTreeOf(path_); }

}  // namespace gantry::runtime
