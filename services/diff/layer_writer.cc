#include "services/diff/layer_writer.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "services/diff/file_state.h"

namespace gantry::diff {
namespace {

constexpr char kWhiteoutPrefix[] = ".wh.";
constexpr char kOpaqueMark[] = ".wh..wh..opq";
constexpr char kAufsPrefix[] = ".wh..wh.";

std::pair<std::string, std::string> Split(const std::string& path) {
  const size_t slash = path.rfind('/');
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

struct timespec Omit() {
  struct timespec time {};
  time.tv_nsec = UTIME_OMIT;
  return time;
}

}  // namespace

absl::Status LayerWriter::Add(const Entry& entry, const DataSource& data) {
  const std::string path = CleanPath(absl::StrCat("/", entry.name));
  return Annotate(AddAt(entry, path, data),
                  absl::StrCat("layer entry \"", absl::CHexEscape(entry.name), "\""));
}

absl::StatusOr<int> LayerWriter::Parent(const std::string& path) {
  if (!parent_.valid() || parent_path_ != path) {
    GANTRY_ASSIGN_OR_RETURN(parent_, MakeDirectoriesInRoot(root_, path, 0755));
    parent_path_ = path;
  }
  return parent_.get();
}

absl::Status LayerWriter::AddAt(const Entry& entry, const std::string& path,
                                const DataSource& data) {
  if (entry.name.empty()) return absl::InvalidArgumentError("empty name");
  if (path == "/") {
    if (!S_ISDIR(entry.mode))
      return absl::InvalidArgumentError("names the root and is not a directory");
    GANTRY_RETURN_IF_ERROR(SetAttributes(root_, ".", entry));
    directories_.push_back({path, entry.mtime});
    return absl::OkStatus();
  }
  const auto [directory, base] = Split(path);
  GANTRY_ASSIGN_OR_RETURN(const int parent, Parent(directory));
  if (absl::StartsWith(base, kWhiteoutPrefix)) return Whiteout(parent, directory, base);

  GANTRY_RETURN_IF_ERROR(MakeRoom(parent, base, path, S_ISDIR(entry.mode) && !entry.is_hardlink));
  GANTRY_RETURN_IF_ERROR(Create(parent, base, entry, data));
  made_.insert(path);
  return absl::OkStatus();
}

absl::Status LayerWriter::Whiteout(int parent, const std::string& directory,
                                   absl::string_view base) {
  if (base == kOpaqueMark) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(FdPath(parent)));
    for (const std::string& name : names) {
      if (made_.count(JoinPath(directory, name)) == 0)
        GANTRY_RETURN_IF_ERROR(RemoveTreeAt(parent, name));
    }
    return absl::OkStatus();
  }
  if (absl::StartsWith(base, kAufsPrefix))
    return absl::OkStatus();  // aufs' own; means nothing here
  const std::string name(absl::StripPrefix(base, kWhiteoutPrefix));
  if (name.empty() || name == "." || name == "..") {
    return absl::InvalidArgumentError("whiteout of nothing, or of a directory that holds it");
  }
  GANTRY_RETURN_IF_ERROR(RemoveTreeAt(parent, name));
  Forget();
  return absl::OkStatus();
}

absl::Status LayerWriter::MakeRoom(int parent, const std::string& base, const std::string& path,
                                   bool for_directory) {
  struct stat st {};
  if (::fstatat(parent, base.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("stat ", path));
  }
  if (for_directory && S_ISDIR(st.st_mode)) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(RemoveTreeAt(parent, base));
  return absl::OkStatus();
}

absl::Status LayerWriter::Create(int parent, const std::string& base, const Entry& entry,
                                 const DataSource& data) {
  if (entry.is_hardlink) return Link(parent, base, entry);
  switch (entry.mode & S_IFMT) {
    case S_IFREG:
      return CreateFile(parent, base, entry, data);
    case S_IFDIR:
      if (::mkdirat(parent, base.c_str(), 0700) != 0 && errno != EEXIST) {
        return ErrnoError(errno, "create the directory");
      }
      directories_.push_back({CleanPath(absl::StrCat("/", entry.name)), entry.mtime});
      break;
    case S_IFLNK:
      if (::symlinkat(entry.link.c_str(), parent, base.c_str()) != 0) {
        return ErrnoError(errno, absl::StrCat("create the symbolic link to \"",
                                              absl::CHexEscape(entry.link), "\""));
      }
      break;
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
      if (S_ISCHR(entry.mode) && entry.device == 0) {
        return absl::InvalidArgumentError(
            "a 0/0 character device, which overlayfs takes for a whiteout");
      }
      if (::mknodat(parent, base.c_str(), entry.mode & (S_IFMT | 0600), entry.device) != 0) {
        return ErrnoError(errno, "create the node");
      }
      break;
    default:
      return absl::InvalidArgumentError("a type that a layer cannot hold");
  }
  return SetAttributes(parent, base, entry);
}

absl::Status LayerWriter::Link(int parent, const std::string& base, const Entry& entry) {
  const std::string target = CleanPath(absl::StrCat("/", entry.link));
  const std::string shown = absl::StrCat("hard link to \"", absl::CHexEscape(entry.link), "\"");
  if (target == "/") return absl::InvalidArgumentError(absl::StrCat(shown, ": a directory"));
  const auto [directory, name] = Split(target);
  absl::StatusOr<UniqueFd> from = OpenInRoot(root_, directory, O_PATH | O_DIRECTORY);
  if (!from.ok()) return Annotate(from.status(), shown);
  // No AT_SYMLINK_FOLLOW: a link to a symbolic link is one to the link itself.
  if (::linkat(from->get(), name.c_str(), parent, base.c_str(), 0) != 0)
    return ErrnoError(errno, shown);
  return absl::OkStatus();
}

absl::Status LayerWriter::CreateFile(int parent, const std::string& base, const Entry& entry,
                                     const DataSource& data) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd file,
                          OpenFileAt(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  GANTRY_ASSIGN_OR_RETURN(
      const int64_t size, data([&](int64_t offset, absl::string_view bytes) -> absl::Status {
        while (!bytes.empty()) {
          const ssize_t put = ::pwrite(file.get(), bytes.data(), bytes.size(), offset);
          if (put < 0 && errno == EINTR) continue;
          if (put < 0) return ErrnoError(errno, "write");
          bytes.remove_prefix(static_cast<size_t>(put));
          offset += put;
        }
        return absl::OkStatus();
      }));
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return ErrnoError(errno, "stat");
  if (st.st_size < size && ::ftruncate(file.get(), size) != 0)
    return ErrnoError(errno, "set the size");
  // Owner before mode and capabilities: chown(2) clears set-user-ID bits and security.capability.
  if (::fchown(file.get(), entry.uid, entry.gid) != 0) return ErrnoError(errno, "set the owner");
  if (::fchmod(file.get(), entry.mode & 07777) != 0) return ErrnoError(errno, "set the mode");
  for (const auto& [name, value] : entry.xattrs) {
    if (!IsLayerXattr(name)) continue;  // forged whiteouts, labels of another host
    if (::fsetxattr(file.get(), name.c_str(), value.data(), value.size(), 0) != 0 &&
        errno != ENOTSUP) {
      return ErrnoError(errno, absl::StrCat("set xattr ", name));
    }
  }
  const struct timespec times[2] = {Omit(), entry.mtime};
  if (::futimens(file.get(), times) != 0) return ErrnoError(errno, "set the times");
  return absl::OkStatus();
}

absl::Status LayerWriter::SetAttributes(int parent, const std::string& base, const Entry& entry) {
  const bool is_link = S_ISLNK(entry.mode);
  if (::fchownat(parent, base.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoError(errno, "set the owner");
  }
  // fchmodat(2) follows links, and `base` was made or found not to be one a moment ago by the only
  // writer.
  if (!is_link && ::fchmodat(parent, base.c_str(), entry.mode & 07777, 0) != 0) {
    return ErrnoError(errno, "set the mode");
  }
  const std::string path = absl::StrCat(FdPath(parent), "/", base);
  for (const auto& [name, value] : entry.xattrs) {
    if (!IsLayerXattr(name)) continue;  // forged whiteouts, labels of another host
    if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    // The kernel takes user.* on files and directories only.
    if (errno == ENOTSUP || (errno == EPERM && absl::StartsWith(name, "user."))) continue;
    return ErrnoError(errno, absl::StrCat("set xattr ", name));
  }
  const struct timespec times[2] = {Omit(), entry.mtime};
  if (::utimensat(parent, base.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return ErrnoError(errno, "set the times");
  return absl::OkStatus();
}

absl::Status LayerWriter::Finish() {
  Forget();
  for (const DirectoryTime& directory : directories_) {
    const absl::StatusOr<UniqueFd> fd =
        OpenInRoot(root_, directory.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd.ok()) continue;  // a later entry has replaced or removed it
    const struct timespec times[2] = {Omit(), directory.mtime};
    if (::futimens(fd->get(), times) != 0) {
      return ErrnoError(errno, absl::StrCat("set the times of ", directory.path));
    }
  }
  return absl::OkStatus();
}

}  // namespace gantry::diff
