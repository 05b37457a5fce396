#include "cli/state_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/time.h"

namespace gantry::cli {
namespace {

constexpr char kRecordFile[] = "state.json";
constexpr char kConfigFile[] = "config.json";
constexpr char kSeccompDirectory[] = ".seccomp";
// The version of state.json: one that is not known is refused rather than half understood.
constexpr int kFormat = 1;

// runc's rule, and none of the names that mean something else here.
absl::Status CheckId(const std::string& id) {
  const bool other = id.empty() || id == "." || id == ".." || id == kSeccompDirectory;
  bool plain = !other && id.size() <= 1024;
  for (const char c : id) {
    plain = plain && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '+' || c == '-' || c == '.' || c == ',');
  }
  if (plain) return absl::OkStatus();
  return absl::InvalidArgumentError("invalid container ID format");
}

absl::Status NotExist() { return absl::NotFoundError("container does not exist"); }

Json ToJson(const ContainerRecord& record) {
  return Json{{"format", kFormat},
              {"id", record.id},
              {"oci_version", record.oci_version},
              {"bundle", record.bundle},
              {"rootfs", record.rootfs},
              {"init_process_pid", record.init.pid},
              {"init_process_start", record.init.start_time},
              {"boot_id", record.init.boot_id},
              {"created", FormatRfc3339(record.created)},
              {"cgroups_path", record.cgroups_path},
              {"creator_cgroups", record.creator_cgroups},
              {"systemd_cgroup", record.systemd_cgroup},
              {"no_new_keyring", record.no_new_keyring},
              {"annotations", record.annotations}};
}

absl::StatusOr<ContainerRecord> FromJson(const Json& json, const std::string& path) {
  ContainerRecord record;
  std::string created;
  int format = 0;
  // The one place of this file where the library may throw: a field that is missing or has another
  // type.
  try {
    format = json.at("format").get<int>();
    json.at("id").get_to(record.id);
    json.at("oci_version").get_to(record.oci_version);
    json.at("bundle").get_to(record.bundle);
    json.at("rootfs").get_to(record.rootfs);
    json.at("init_process_pid").get_to(record.init.pid);
    json.at("init_process_start").get_to(record.init.start_time);
    json.at("boot_id").get_to(record.init.boot_id);
    json.at("created").get_to(created);
    json.at("cgroups_path").get_to(record.cgroups_path);
    json.at("creator_cgroups").get_to(record.creator_cgroups);
    json.at("systemd_cgroup").get_to(record.systemd_cgroup);
    json.at("no_new_keyring").get_to(record.no_new_keyring);
    json.at("annotations").get_to(record.annotations);
  } catch (const Json::exception& error) {
    return absl::DataLossError(absl::StrCat("read ", path, ": ", error.what()));
  }
  if (format != kFormat) {
    return absl::DataLossError(absl::StrCat("read ", path, ": format ", format, " is not known"));
  }
  GANTRY_ASSIGN_OR_RETURN(record.created, ParseRfc3339(created));
  return record;
}

absl::StatusOr<UniqueFd> OpenLocked(const std::string& path) {
  for (;;) {
    absl::StatusOr<UniqueFd> fd = OpenFile(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd.ok()) return fd.status();
    while (::flock(fd->get(), LOCK_EX) != 0) {
      if (errno != EINTR) return ErrnoError(errno, absl::StrCat("lock ", path));
    }
    // Who had the lock before may have removed the directory.
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
    if (status.st_nlink != 0) return fd;
  }
}

}  // namespace

absl::StatusOr<ContainerRecord> ContainerDir::ReadRecord() const {
  const std::string path = JoinPath(path_, kRecordFile);
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  GANTRY_ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  return FromJson(json, path);
}

absl::StatusOr<std::string> ContainerDir::ReadConfig() const {
  return ReadFile(JoinPath(path_, kConfigFile));
}

absl::Status ContainerDir::WriteRecord(const ContainerRecord& record) const {
  return WriteFileAtomic(JoinPath(path_, kRecordFile), DumpJson(ToJson(record)), 0600,
                         Durability::kNotDurable);
}

absl::Status ContainerDir::WriteConfig(absl::string_view config) const {
  return WriteFileAtomic(JoinPath(path_, kConfigFile), config, 0600, Durability::kNotDurable);
}

void ContainerDir::Unlock() {
  ::flock(fd_.get(), LOCK_UN);
  locked_ = false;
}

bool ContainerDir::LockedByOther() const {
  if (locked_) return false;
  // Through an open file of its own: a lock belongs to that.
  const absl::StatusOr<UniqueFd> fd = OpenFile(path_, O_RDONLY | O_DIRECTORY);
  return fd.ok() && ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

absl::StatusOr<uid_t> ContainerDir::Owner() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return ErrnoError(errno, absl::StrCat("stat ", path_));
  return status.st_uid;
}

absl::Status ContainerDir::Remove() const { return RemoveTree(path_); }

absl::StatusOr<ContainerDir> StateStore::Make(const std::string& id) const {
  GANTRY_RETURN_IF_ERROR(CheckId(id));
  GANTRY_RETURN_IF_ERROR(MakeDirectories(root_, 0700));
  const std::string path = JoinPath(root_, id);
  if (::mkdir(path.c_str(), 0711) != 0) {
    if (errno == EEXIST) {
      return absl::AlreadyExistsError("container with given ID already exists");
    }
    return ErrnoError(errno, absl::StrCat("make directory ", path));
  }
  absl::StatusOr<UniqueFd> fd = OpenLocked(path);
  if (!fd.ok()) return fd.status();
  return ContainerDir(path, *std::move(fd), /*locked=*/true);
}

absl::StatusOr<ContainerDir> StateStore::Open(const std::string& id, Lock lock) const {
  if (id.empty()) return absl::InvalidArgumentError("container id cannot be empty");
  if (!CheckId(id).ok()) return NotExist();
  const std::string path = JoinPath(root_, id);
  absl::StatusOr<UniqueFd> fd = lock == Lock::kExclusive
                                    ? OpenLocked(path)
                                    : OpenFile(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (absl::IsNotFound(fd.status())) return NotExist();
  if (!fd.ok()) return fd.status();
  return ContainerDir(path, *std::move(fd), lock == Lock::kExclusive);
}

absl::StatusOr<std::vector<std::string>> StateStore::List() const {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(root_);
  if (absl::IsNotFound(names.status())) return std::vector<std::string>();
  if (!names.ok()) return names.status();
  std::vector<std::string> ids;
  for (std::string& name : *names) {
    if (CheckId(name).ok()) ids.push_back(std::move(name));
  }
  return ids;
}

bool InUserNamespace() {
  static const bool in_one = [] {
    const absl::StatusOr<std::string> map = ReadFile("/proc/self/uid_map");
    if (!map.ok()) return false;
    // The first namespace maps every id to itself: "0 0 4294967295".
    const std::vector<std::string> fields =
        absl::StrSplit(*map, absl::ByAnyChar(" \n"), absl::SkipEmpty());
    return fields != std::vector<std::string>{"0", "0", "4294967295"};
  }();
  return in_one;
}

std::string DefaultRoot() {
  const char* const runtime_dir = ::getenv("XDG_RUNTIME_DIR");
  if (runtime_dir != nullptr && runtime_dir[0] == '/') {
    // Root of a user namespace is an ordinary user outside, unless it says that it is not.
    const char* const user = ::getenv("USER");
    const bool called_root = user != nullptr && std::string(user) == "root";
    if (::geteuid() != 0 || (InUserNamespace() && !called_root)) {
      return JoinPath(runtime_dir, "gantry-oci");
    }
  }
  return "/run/gantry-oci";
}

std::string SeccompCacheDirectory() {
  if (::geteuid() == 0 && !InUserNamespace()) return "/run/gantry/seccomp";
  return JoinPath(DefaultRoot(), kSeccompDirectory);
}

}  // namespace gantry::cli
