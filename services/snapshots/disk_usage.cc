#include "services/snapshots/disk_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <set>

#include "base/errors.h"
#include "base/file.h"

namespace gantry::snapshots {
namespace {

constexpr int64_t kBlockBytes = 512;  // the unit of st_blocks, whatever the file system's own

class Counter {
 public:
  absl::Status Directory(UniqueFd fd, const std::string& shown) {
    struct Closer {
      void operator()(DIR* dir) const { ::closedir(dir); }
    };
    std::unique_ptr<DIR, Closer> dir(::fdopendir(fd.get()));
    if (dir == nullptr) return ErrnoError(errno, absl::StrCat("list ", shown));
    const int at = fd.release();
    errno = 0;
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") GANTRY_RETURN_IF_ERROR(Entry(at, name, shown));
      errno = 0;
    }
    if (errno != 0) return ErrnoError(errno, absl::StrCat("list ", shown));
    return absl::OkStatus();
  }

  void Count(const struct stat& st) {
    if (st.st_nlink > 1 && !S_ISDIR(st.st_mode) && !seen_.emplace(st.st_dev, st.st_ino).second)
      return;
    usage.size_bytes += st.st_blocks * kBlockBytes;
    usage.inodes += 1;
  }

  Usage usage;

 private:
  absl::Status Entry(int at, const std::string& name, const std::string& shown) {
    struct stat st {};
    if (::fstatat(at, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return absl::OkStatus();
      return ErrnoError(errno, absl::StrCat("stat ", shown, "/", name));
    }
    Count(st);
    if (!S_ISDIR(st.st_mode)) return absl::OkStatus();
    absl::StatusOr<UniqueFd> child = OpenFileAt(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!child.ok()) return absl::IsNotFound(child.status()) ? absl::OkStatus() : child.status();
    return Directory(*std::move(child), absl::StrCat(shown, "/", name));
  }

  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

absl::StatusOr<Usage> DiskUsage(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(UniqueFd root, OpenFile(path, O_RDONLY | O_DIRECTORY));
  struct stat st {};
  if (::fstat(root.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  Counter counter;
  counter.Count(st);
  GANTRY_RETURN_IF_ERROR(counter.Directory(std::move(root), path));
  return counter.usage;
}

}  // namespace gantry::snapshots
