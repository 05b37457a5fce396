#include "services/diff/layer_writer.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/path.h"
#include "base/positioned_io.h"
#include "services/diff/file_state.h"

namespace gantry::diff {
namespace {

constexpr char kWhiteoutPrefix[] = ".wh.";
constexpr char kOpaqueMark[] = ".wh..wh..opq";
constexpr char kAufsPrefix[] = ".wh..wh.";
constexpr char kDefaultAcl[] = "system.posix_acl_default";
constexpr mode_t kPermissions = 0777;
constexpr mode_t kModeBits = 07777;

// The process's file mode creation mask, which umask(2) cannot tell without setting it. All bits if
// it cannot be read, so that every mode is set.
mode_t CurrentUmask() {
  const absl::StatusOr<std::string> status = ReadFile("/proc/thread-self/status");
  if (!status.ok()) return kPermissions;
  constexpr char kKey[] = "\nUmask:\t";
  const size_t at = status->find(kKey);
  if (at == std::string::npos) return kPermissions;
  const std::string digits = status->substr(at + sizeof kKey - 1, 4);
  uint32_t mask = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7') return kPermissions;
    mask = mask * 8 + static_cast<uint32_t>(c - '0');
  }
  return mask;
}

struct timespec Omit() {
  struct timespec time {};
  time.tv_nsec = UTIME_OMIT;
  return time;
}

}  // namespace

LayerWriter::LayerWriter(int root, int64_t max_file_bytes)
    : root_(root), max_file_bytes_(max_file_bytes), umask_(CurrentUmask()), directories_(root) {}

absl::Status LayerWriter::Add(const Entry& entry, const DataSource& data) {
  absl::Status added = FaultPoint("diff.apply.entry");
  if (added.ok()) added = AddAt(entry, data);
  if (added.ok()) return added;
  return Annotate(added, absl::StrCat("layer entry ", QuotedName(entry.name)));
}

void LayerWriter::Remember(const Directory& parent, absl::string_view base) {
  if (!parent.fresh) made_.insert(absl::HashOf(parent.inode, base));
}

bool LayerWriter::IsOurs(const Directory& parent, absl::string_view base) const {
  return parent.fresh || made_.contains(absl::HashOf(parent.inode, base));
}

absl::Status LayerWriter::AddAt(const Entry& entry, const DataSource& data) {
  if (entry.name.empty()) return absl::InvalidArgumentError("empty name");
  const std::string path = CleanPath(absl::StrCat("/", entry.name));
  if (path == "/") return Root(entry);
  const auto [directory, base] = SplitPath(path);
  GANTRY_ASSIGN_OR_RETURN(const Directory* const parent, directories_.Enter(directory));
  if (absl::StartsWith(base, kWhiteoutPrefix)) return Whiteout(*parent, base);
  Remember(*parent, base);
  if (entry.is_hardlink) return Link(*parent, directory, base, entry);
  switch (entry.mode & S_IFMT) {
    case S_IFREG:
      return MakeFile(*parent, base, entry, data);
    case S_IFDIR:
      return MakeDirectory(*parent, base, path, entry);
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
      return MakeNode(*parent, base, entry);
    default:
      return absl::InvalidArgumentError("a type that a layer cannot hold");
  }
}

absl::Status LayerWriter::Root(const Entry& entry) {
  if (!S_ISDIR(entry.mode) || entry.is_hardlink) {
    return absl::InvalidArgumentError("names the root and is not a directory");
  }
  GANTRY_ASSIGN_OR_RETURN(Directory* const root, directories_.Enter("/"));
  GANTRY_RETURN_IF_ERROR(SetAttributes(root->fd.get(), nullptr, entry, ~mode_t{0}));
  root->mtime = entry.mtime;
  root->inherits_group = (entry.mode & S_ISGID) != 0;
  return absl::OkStatus();
}

absl::Status LayerWriter::Whiteout(const Directory& parent, absl::string_view base) {
  if (base == kOpaqueMark) {
    if (parent.fresh) return absl::OkStatus();
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(FdPath(parent.fd.get())));
    for (const std::string& name : names) {
      if (!IsOurs(parent, name)) GANTRY_RETURN_IF_ERROR(RemoveTreeAt(parent.fd.get(), name));
    }
    return absl::OkStatus();
  }
  if (absl::StartsWith(base, kAufsPrefix))
    return absl::OkStatus();  // aufs' own; means nothing here
  const std::string name(absl::StripPrefix(base, kWhiteoutPrefix));
  if (name.empty() || name == "." || name == "..") {
    return absl::InvalidArgumentError("whiteout of nothing, or of a directory that holds it");
  }
  return RemoveTreeAt(parent.fd.get(), name);
}

absl::Status LayerWriter::Make(const Directory& parent, const std::string& base,
                               const std::function<int()>& make, absl::string_view what) {
  if (make() == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    GANTRY_RETURN_IF_ERROR(RemoveTreeAt(parent.fd.get(), base));
    if (make() == 0) return absl::OkStatus();
  }
  return ErrnoError(errno, what);
}

absl::Status LayerWriter::MakeDirectory(const Directory& parent, const std::string& base,
                                        const std::string& path, const Entry& entry) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const int at = parent.fd.get();
  bool made = ::mkdirat(at, base.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return ErrnoError(errno, "create the directory");
  UniqueFd fd(::openat(at, base.c_str(), kFlags));
  if (!fd.valid() && (errno == ENOTDIR || errno == ELOOP)) {
    GANTRY_RETURN_IF_ERROR(RemoveTreeAt(at, base));
    made = ::mkdirat(at, base.c_str(), 0700) == 0;
    if (!made) return ErrnoError(errno, "create the directory");
    fd = UniqueFd(::openat(at, base.c_str(), kFlags));
  }
  if (!fd.valid()) return ErrnoError(errno, "open the directory");
  GANTRY_RETURN_IF_ERROR(SetAttributes(fd.get(), &parent, entry, ~mode_t{0}));
  // From here on `parent` is gone.
  GANTRY_ASSIGN_OR_RETURN(Directory* const directory, directories_.Push(path, std::move(fd), made));
  directory->mtime = entry.mtime;
  for (const auto& [name, value] : entry.xattrs) {
    if (name == kDefaultAcl) directory->default_acl = value;
  }
  return absl::OkStatus();
}

absl::Status LayerWriter::MakeFile(const Directory& parent, const std::string& base,
                                   const Entry& entry, const DataSource& data) {
  UniqueFd file;
  GANTRY_RETURN_IF_ERROR(Make(
      parent, base,
      [&] {
        file = UniqueFd(::openat(parent.fd.get(), base.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                 entry.mode & kPermissions));
        return file.valid() ? 0 : -1;
      },
      "create the file"));
  int64_t end = 0;
  GANTRY_ASSIGN_OR_RETURN(const int64_t size,
                          data([&](int64_t offset, absl::string_view bytes) -> absl::Status {
                            GANTRY_RETURN_IF_ERROR(FaultPoint("diff.apply.data"));
                            end = offset + static_cast<int64_t>(bytes.size());
                            return WriteAt(file.get(), offset, bytes, "write");
                          }));
  if (max_file_bytes_ > 0 && size > max_file_bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat("a file of ", size, " bytes, of which ",
                                                     max_file_bytes_,
                                                     " are allowed (max_layer_bytes)"));
  }
  if (end < size && ::ftruncate(file.get(), size) != 0) return ErrnoError(errno, "set the size");
  GANTRY_RETURN_IF_ERROR(
      SetAttributes(file.get(), &parent, entry, entry.mode & kPermissions & ~umask_));
  const struct timespec times[2] = {Omit(), entry.mtime};
  if (::futimens(file.get(), times) != 0) return ErrnoError(errno, "set the times");
  return absl::OkStatus();
}

bool LayerWriter::OwnedAsMade(const Directory* parent, const Entry& entry) const {
  return parent != nullptr && !parent->inherits_group && entry.uid == ::geteuid() &&
         entry.gid == ::getegid();
}

absl::Status LayerWriter::SetAttributes(int fd, const Directory* parent, const Entry& entry,
                                        mode_t have) {
  // A directory that was there before belongs to whom it belonged.
  const bool as_made = !S_ISDIR(entry.mode) && OwnedAsMade(parent, entry);
  // Owner before mode and capabilities: chown(2) clears set-user-ID bits and security.capability.
  if (!as_made && ::fchown(fd, entry.uid, entry.gid) != 0) {
    return ErrnoError(errno, "set the owner");
  }
  if (have != (entry.mode & kModeBits) && ::fchmod(fd, entry.mode & kModeBits) != 0) {
    return ErrnoError(errno, "set the mode");
  }
  for (const auto& [name, value] : entry.xattrs) {
    if (!IsLayerXattr(name)) continue;  // forged whiteouts, labels of another host
    if (S_ISDIR(entry.mode) && name == kDefaultAcl) continue;  // set when it is left
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP) {
      return ErrnoError(errno, absl::StrCat("set xattr ", QuotedName(name)));
    }
  }
  return absl::OkStatus();
}

absl::Status LayerWriter::MakeNode(const Directory& parent, const std::string& base,
                                   const Entry& entry) {
  const int at = parent.fd.get();
  const bool is_link = S_ISLNK(entry.mode);
  if (S_ISCHR(entry.mode) && entry.device == 0) {
    return absl::InvalidArgumentError(
        "a 0/0 character device, which overlayfs takes for a whiteout");
  }
  if (is_link) {
    GANTRY_RETURN_IF_ERROR(Make(
        parent, base, [&] { return ::symlinkat(entry.link.c_str(), at, base.c_str()); },
        absl::StrCat("create the symbolic link to ", QuotedName(entry.link))));
  } else {
    GANTRY_RETURN_IF_ERROR(Make(
        parent, base,
        [&] {
          return ::mknodat(at, base.c_str(), entry.mode & (S_IFMT | kPermissions), entry.device);
        },
        "create the node"));
  }
  if (!OwnedAsMade(&parent, entry) &&
      ::fchownat(at, base.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoError(errno, "set the owner");
  }
  // fchmodat(2) follows links, and `base` was made a moment ago by the only writer.
  if (!is_link && ::fchmodat(at, base.c_str(), entry.mode & kModeBits, 0) != 0) {
    return ErrnoError(errno, "set the mode");
  }
  for (const auto& [name, value] : entry.xattrs) {
    if (!IsLayerXattr(name)) continue;
    const std::string path = absl::StrCat(FdPath(at), "/", base);
    if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    // The kernel takes user.* on files and directories only.
    if (errno == ENOTSUP || (errno == EPERM && absl::StartsWith(name, "user."))) continue;
    return ErrnoError(errno, absl::StrCat("set xattr ", QuotedName(name)));
  }
  const struct timespec times[2] = {Omit(), entry.mtime};
  if (::utimensat(at, base.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoError(errno, "set the times");
  }
  return absl::OkStatus();
}

absl::Status LayerWriter::Link(const Directory& parent, const std::string& parent_path,
                               const std::string& base, const Entry& entry) {
  const std::string target = CleanPath(absl::StrCat("/", entry.link));
  const auto shown = [&] { return absl::StrCat("hard link to ", QuotedName(entry.link)); };
  if (target == "/") return absl::InvalidArgumentError(absl::StrCat(shown(), ": a directory"));
  const auto [directory, base_of_target] = SplitPath(target);
  const std::string name = base_of_target;  // a lambda cannot take a structured binding yet
  UniqueFd elsewhere;
  if (directory != parent_path) {
    absl::StatusOr<UniqueFd> from = OpenInRoot(root_, directory, O_PATH | O_DIRECTORY);
    if (!from.ok()) return ErrnoError(ErrnoOf(from.status()), shown());
    elsewhere = *std::move(from);
  }
  const int from = elsewhere.valid() ? elsewhere.get() : parent.fd.get();
  // Of itself: removing what is in the way would remove the target.
  if (!elsewhere.valid() && name == base) return absl::InvalidArgumentError(shown() + ": itself");
  // No AT_SYMLINK_FOLLOW: a link to a symbolic link is one to the link itself.
  return Make(
      parent, base, [&] { return ::linkat(from, name.c_str(), parent.fd.get(), base.c_str(), 0); },
      shown());
}

}  // namespace gantry::diff
