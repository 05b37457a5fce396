#include "services/diff/layer_comparer.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "services/diff/block_pipe.h"
#include "services/diff/file_state.h"
#include "services/diff/tar_writer.h"

namespace gantry::diff {
namespace {

constexpr size_t kReadChunk = 256 << 10;
constexpr int64_t kWorthwhileHole = 1 << 20;
// Each level holds up to three descriptors and a stack frame.
constexpr int kMostLevels = 1024;
constexpr char kRedirect[] = "trusted.overlay.redirect";

// The directories of one level. Invalid: the tree has none there.
struct Level {
  UniqueFd left;
  UniqueFd right;
  // The overlay's upper directory: what is not in it has not changed. Invalid: not known.
  UniqueFd upper;
};

class Comparer {
 public:
  Comparer(TarWriter& tar, const CompareOptions& options)
      : tar_(tar), options_(options), buffer_(kReadChunk, '\0') {}

  absl::Status Root(const Level& level) {
    GANTRY_ASSIGN_OR_RETURN(std::optional<FileState> right, ReadState(level.right.get(), "."));
    FileState plain;
    plain.entry.mode = S_IFDIR | 0755;
    std::optional<FileState> left = std::move(plain);
    if (level.left.valid()) {
      GANTRY_ASSIGN_OR_RETURN(left, ReadState(level.left.get(), "."));
    }
    // The root's time changes with every file made in it and tells nobody anything.
    left->entry.mtime = right->entry.mtime;
    GANTRY_ASSIGN_OR_RETURN(const bool same, SameFile(*left, -1, *right, -1, "."));
    if (!same) {
      right->entry.name = "./";
      GANTRY_RETURN_IF_ERROR(Put(right->entry));
    }
    return Directory(level, "", 0);
  }

 private:
  // A directory on the way whose header is written once something below it has changed.
  struct Pending {
    Entry entry;
    bool written = false;
  };

  absl::Status Directory(const Level& level, const std::string& path, int depth) {
    if (depth > kMostLevels) {
      return absl::InvalidArgumentError(absl::StrCat(
          path.substr(0, 200), "...: directories are nested more than ", kMostLevels, " deep"));
    }
    std::vector<std::string> names;
    std::vector<std::string> gone;
    GANTRY_ASSIGN_OR_RETURN(names, ListDirectory(FdPath(level.right.get())));
    if (level.left.valid()) {
      GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> before,
                              ListDirectory(FdPath(level.left.get())));
      std::set_difference(before.begin(), before.end(), names.begin(), names.end(),
                          std::back_inserter(gone));
    }
    for (const std::string& name : gone) {
      GANTRY_RETURN_IF_ERROR(Whiteout(path, name));
    }
    for (const std::string& name : names) {
      GANTRY_RETURN_IF_ERROR(Annotate(Child(level, path, name, depth), absl::CHexEscape(name)));
    }
    return absl::OkStatus();
  }

  absl::Status Child(const Level& level, const std::string& parent, const std::string& name,
                     int depth) {
    if (level.upper.valid()) {
      struct stat st {};
      if (::fstatat(level.upper.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return absl::OkStatus();
        return ErrnoError(errno, "stat in the upper directory");
      }
    }
    GANTRY_ASSIGN_OR_RETURN(std::optional<FileState> right, ReadState(level.right.get(), name));
    if (!right.has_value()) return absl::OkStatus();  // gone since it was listed
    if (S_ISSOCK(right->entry.mode)) return absl::OkStatus();
    std::optional<FileState> left;
    if (level.left.valid()) {
      GANTRY_ASSIGN_OR_RETURN(left, ReadState(level.left.get(), name));
    }
    bool same = false;
    if (left.has_value()) {
      GANTRY_ASSIGN_OR_RETURN(same,
                              SameFile(*left, level.left.get(), *right, level.right.get(), name));
    }
    const std::string path = absl::StrCat(parent, name);
    right->entry.name = path;
    if (!S_ISDIR(right->entry.mode)) return File(level.right.get(), name, *right, same);
    return Subdirectory(level, name, left, *right, same, depth);
  }

  absl::Status Subdirectory(const Level& level, const std::string& name,
                            const std::optional<FileState>& left, FileState& right, bool same,
                            int depth) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    right.entry.name += '/';
    Level next;
    GANTRY_ASSIGN_OR_RETURN(next.right, OpenFileAt(level.right.get(), name, kFlags));
    if (left.has_value() && S_ISDIR(left->entry.mode)) {
      GANTRY_ASSIGN_OR_RETURN(next.left, OpenFileAt(level.left.get(), name, kFlags));
    }
    if (level.upper.valid() && next.left.valid()) {
      GANTRY_ASSIGN_OR_RETURN(next.upper, OpenFileAt(level.upper.get(), name, kFlags));
      // A directory that was renamed shows what lies elsewhere: nothing below can be skipped.
      if (::fgetxattr(next.upper.get(), kRedirect, nullptr, 0) >= 0) next.upper.reset();
    }
    const std::string path = right.entry.name;
    pending_.push_back({std::move(right.entry), false});
    absl::Status status = same ? absl::OkStatus() : Flush();
    if (status.ok()) status = Directory(next, path, depth + 1);
    pending_.pop_back();
    return status;
  }

  absl::Status Whiteout(const std::string& parent, const std::string& name) {
    Entry entry;
    entry.name = absl::StrCat(parent, ".wh.", name);
    entry.mode = S_IFREG;
    GANTRY_RETURN_IF_ERROR(Flush());
    return Put(entry);
  }

  absl::Status File(int at, const std::string& name, FileState& state, bool same) {
    if (S_ISCHR(state.entry.mode) && state.entry.device == 0) return absl::OkStatus();
    if (absl::StartsWith(name, ".wh.")) {
      return absl::InvalidArgumentError("a name that a layer takes for a whiteout");
    }
    if (state.st.st_nlink < 2) return same ? absl::OkStatus() : WriteFile(at, name, state);
    // Names of one file stay so: the first is written, the rest are links to it; names that have
    // not changed come along if one has.
    Links& links = links_[{state.st.st_dev, state.st.st_ino}];
    if (!links.first.empty()) return WriteLink(state.entry, links.first);
    if (same) {
      links.unchanged.push_back(state.entry);
      return absl::OkStatus();
    }
    links.first = state.entry.name;
    GANTRY_RETURN_IF_ERROR(WriteFile(at, name, state));
    for (const Entry& entry : std::exchange(links.unchanged, {})) {
      GANTRY_RETURN_IF_ERROR(WriteLink(entry, links.first));
    }
    return absl::OkStatus();
  }

  absl::Status WriteLink(Entry entry, const std::string& target) {
    entry.is_hardlink = true;
    entry.link = target;
    entry.xattrs.clear();
    GANTRY_RETURN_IF_ERROR(Flush());
    return Put(entry);
  }

  absl::Status WriteFile(int at, const std::string& name, const FileState& state) {
    GANTRY_RETURN_IF_ERROR(Flush());
    if (!S_ISREG(state.entry.mode)) return Put(state.entry);
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd file, OpenFileAt(at, name, O_RDONLY | O_NOFOLLOW));
    const int64_t size = state.st.st_size;
    const std::vector<Extent> extents = ExtentsOf(file.get(), state.st);
    const Entry entry = InTime(state.entry);
    if (extents.size() == 1 && extents[0].size == size) {
      GANTRY_RETURN_IF_ERROR(tar_.Header(entry, size));
    } else {
      GANTRY_RETURN_IF_ERROR(tar_.SparseHeader(entry, size, extents));
    }
    for (const Extent& extent : extents) {
      GANTRY_RETURN_IF_ERROR(CopyExtent(file.get(), extent));
    }
    return tar_.EndData();
  }

  // The pieces of a file that has holes worth the trouble; else the one piece that it is.
  static std::vector<Extent> ExtentsOf(int file, const struct stat& st) {
    const std::vector<Extent> whole = {{0, st.st_size}};
    constexpr int64_t kStatBlock = 512;
    if (st.st_size - st.st_blocks * kStatBlock < kWorthwhileHole) return whole;
    std::vector<Extent> extents;
    int64_t holes = st.st_size;
    for (off_t at = 0; at < st.st_size;) {
      const off_t data = ::lseek(file, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      const off_t end = data < 0 ? -1 : ::lseek(file, data, SEEK_HOLE);
      if (end < 0) return whole;
      extents.push_back({data, std::min<int64_t>(end, st.st_size) - data});
      holes -= extents.back().size;
      at = end;
    }
    return holes < kWorthwhileHole ? whole : extents;
  }

  absl::Status CopyExtent(int file, Extent extent) {
    while (extent.size > 0) {
      const size_t want = static_cast<size_t>(std::min<int64_t>(extent.size, buffer_.size()));
      const ssize_t got = ::pread(file, buffer_.data(), want, extent.offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoError(errno, "read");
      if (got == 0) return absl::UnavailableError("the file shrank while it was read");
      GANTRY_RETURN_IF_ERROR(tar_.Data({buffer_.data(), static_cast<size_t>(got)}));
      extent.offset += got;
      extent.size -= got;
    }
    return absl::OkStatus();
  }

  // Writes the headers of the directories on the way that are not written yet.
  absl::Status Flush() {
    for (Pending& pending : pending_) {
      if (pending.written) continue;
      pending.written = true;
      GANTRY_RETURN_IF_ERROR(Put(pending.entry));
    }
    return absl::OkStatus();
  }

  absl::Status Put(const Entry& entry) { return tar_.Header(InTime(entry), 0); }

  Entry InTime(Entry entry) const {
    if (options_.latest_time.has_value() && entry.mtime.tv_sec >= *options_.latest_time) {
      entry.mtime = {*options_.latest_time, 0};
    }
    return entry;
  }

  struct Links {
    std::string first;             // the name that is in the layer
    std::vector<Entry> unchanged;  // names met before that
  };

  TarWriter& tar_;
  const CompareOptions& options_;
  std::string buffer_;
  std::vector<Pending> pending_;
  std::map<std::pair<dev_t, ino_t>, Links> links_;
};

// Opens both trees, and the upper directory where `right` is made of it and all of `left`.
absl::StatusOr<Level> OpenRoots(const std::vector<Mount>& left, const std::vector<Mount>& right) {
  Level level;
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd left_root, OpenMountedTreeReadOnly(left));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd right_root, OpenMountedTreeReadOnly(right));
  // The mounts' descriptors may be O_PATH ones, which cannot be listed.
  if (left_root.valid()) {
    GANTRY_ASSIGN_OR_RETURN(level.left, OpenFileAt(left_root.get(), ".", O_RDONLY | O_DIRECTORY));
  }
  if (!right_root.valid()) return absl::InvalidArgumentError("right: want one mount, got none");
  GANTRY_ASSIGN_OR_RETURN(level.right, OpenFileAt(right_root.get(), ".", O_RDONLY | O_DIRECTORY));
  std::vector<std::string> layers = LayersOf(right);
  if (layers.size() < 2) return level;
  const std::string upper = layers.front();
  layers.erase(layers.begin());
  if (layers == LayersOf(left)) {
    GANTRY_ASSIGN_OR_RETURN(level.upper, OpenFile(upper, O_RDONLY | O_DIRECTORY));
  }
  return level;
}

}  // namespace

absl::StatusOr<Applied> CompareTrees(const std::vector<Mount>& left,
                                     const std::vector<Mount>& right, const CompareOptions& options,
                                     const ByteSink& sink) {
  GANTRY_ASSIGN_OR_RETURN(const Level level, OpenRoots(left, right));
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create());
  GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<Compressor> compressor,
                          MakeCompressor(options.compression, sink));
  BlockPipe pipe;
  int64_t size = 0;
  // The trees are read here; hashing, compressing and storing go on beside it.
  absl::Status stored;
  std::thread storer([&] {
    stored = [&]() -> absl::Status {
      for (;;) {
        GANTRY_ASSIGN_OR_RETURN(const absl::string_view bytes, pipe.Next());
        if (bytes.empty()) return compressor->Finish();
        digester.Update(bytes);
        size += static_cast<int64_t>(bytes.size());
        GANTRY_RETURN_IF_ERROR(compressor->Write(bytes));
      }
    }();
    if (!stored.ok()) pipe.CloseRead(stored);
  });
  TarWriter tar([&](absl::string_view bytes) { return pipe.Write(bytes); });
  absl::Status walked = Comparer(tar, options).Root(level);
  if (walked.ok()) walked = tar.Finish();
  pipe.CloseWrite(walked);
  storer.join();
  if (!walked.ok()) return walked;
  if (!stored.ok()) return stored;
  return Applied{digester.Finish(), size};
}

}  // namespace gantry::diff
