#include "services/snapshots/snapshot_directories.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "services/snapshots/snapshot_record.h"

namespace gantry::snapshots {
namespace {

// Removes a snapshot's directory that holds no file, as that of a container which has written
// nothing or of a view, without looking through it. False if it holds some; what is gone then is
// not missed.
bool RemoveEmpty(const std::string& path) {
  for (const char* part : {"/fs", "/work/work", "/work", ""}) {
    if (::rmdir(absl::StrCat(path, part).c_str()) != 0 && errno != ENOENT) return false;
  }
  return true;
}

void Unlink(const std::string& path) {
  absl::Status status = FaultPoint("snapshots.remove.unlink");
  if (status.ok() && RemoveEmpty(path)) return;
  if (status.ok()) status = RemoveTree(path);
  if (!status.ok()) LogWarn(status.message());
}

}  // namespace

absl::Status SnapshotDirectories::Open(const std::set<uint64_t>& known) {
  GANTRY_RETURN_IF_ERROR(MakeDirectories(root_, 0700));
  if (!known.empty()) next_id_ = std::max<uint64_t>(next_id_, *known.rbegin() + 1);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(root_));
  for (const std::string& name : names) {
    uint64_t id = 0;
    if (absl::SimpleAtoi(name, &id)) {
      next_id_ = std::max<uint64_t>(next_id_, id + 1);
      if (known.count(id) != 0) continue;
    } else if (!absl::StartsWith(name, kDiscardPrefix)) {
      LogWarn("the snapshotter's directory holds something that is not a snapshot",
              {{"name", name}});
      continue;
    }
    cleaner_.Run([path = absl::StrCat(root_, "/", name)] { Unlink(path); });
  }
  return absl::OkStatus();
}

std::string SnapshotDirectories::Path(uint64_t id, absl::string_view part) const {
  return part.empty() ? absl::StrCat(root_, "/", id) : absl::StrCat(root_, "/", id, "/", part);
}

bool SnapshotDirectories::Has(uint64_t id) const {
  return ::access(Path(id, "fs").c_str(), F_OK) == 0 || errno != ENOENT;
}

absl::Status SnapshotDirectories::Make(uint64_t id, absl::string_view part, mode_t mode) {
  const std::string path = Path(id, part);
  if (::mkdir(path.c_str(), mode) != 0) {
    return ErrnoError(errno, absl::StrCat("create directory ", path));
  }
  // umask(2) must not narrow what a container sees as its "/". Looking costs less than a change of
  // what is right already, which goes through the file system's journal.
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  if ((st.st_mode & ~S_IFMT) == mode) return absl::OkStatus();
  if (::chmod(path.c_str(), mode) != 0) {
    return ErrnoError(errno, absl::StrCat("set the mode of ", path));
  }
  return absl::OkStatus();
}

void SnapshotDirectories::Discard(uint64_t id) {
  std::string away = absl::StrCat(root_, "/", kDiscardPrefix, id, "-", RandomHex(4));
  if (::rename(Path(id).c_str(), away.c_str()) != 0) {
    if (errno == ENOENT) return;
    LogWarn(ErrnoError(errno, absl::StrCat("rename ", Path(id), " away")).message());
    away = Path(id);
  }
  if (removal_ == Removal::kAwaited) return Unlink(away);
  cleaner_.Run([away] { Unlink(away); });
}

void SnapshotDirectories::Wait() {
  // The one cleaner thread works in order, so what was queued before this mark is done when it is
  // met.
  std::mutex mutex;
  std::condition_variable done;
  bool met = false;
  cleaner_.Run([&] {
    const std::lock_guard lock(mutex);
    met = true;
    done.notify_one();
  });
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return met; });
}

}  // namespace gantry::snapshots
