#ifndef GANTRY_CLI_STATE_STORE_H_
#define GANTRY_CLI_STATE_STORE_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "runtime/process/identity.h"

namespace gantry::cli {

// What is known of a container between two commands: <root>/<id>/state.json. Beside it lie
// config.json, the bundle's as it was at creation, and start.sock while the container waits for its
// start. The directory is in a tmpfs: nothing is synced, a reboot ends every container.
struct ContainerRecord {
  std::string id;
  std::string oci_version;
  std::string bundle;  // absolute
  std::string rootfs;  // absolute
  // pid 0 while the container is being created (or its creator died meanwhile).
  runtime::ProcessIdentity init;
  absl::Time created;
  std::string cgroups_path;  // as of the spec; empty: it has no cgroup
  // The creator's /proc/self/cgroup if that path is relative: where it begins in each hierarchy.
  std::string creator_cgroups;
  bool systemd_cgroup = false;
  bool no_new_keyring = false;
  std::map<std::string, std::string> annotations;
};

// One container's directory, open. Locked if it was asked for: commands that make, start and remove
// a container exclude each other, those that look at it do not wait.
class ContainerDir {
 public:
  ContainerDir(std::string path, UniqueFd fd, bool locked)
      : path_(std::move(path)), fd_(std::move(fd)), locked_(locked) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string notify_directory() const { return path_ + "/notify"; }

  // Errors of reading: NotFound while the container was not made.
  [[nodiscard]] absl::StatusOr<ContainerRecord> ReadRecord() const;
  [[nodiscard]] absl::StatusOr<std::string> ReadConfig() const;
  [[nodiscard]] absl::Status WriteRecord(const ContainerRecord& record) const;
  [[nodiscard]] absl::Status WriteConfig(absl::string_view config) const;

  void Unlock();
  // Whether another process holds the lock.
  [[nodiscard]] bool LockedByOther() const;
  // The user who made it.
  [[nodiscard]] absl::StatusOr<uid_t> Owner() const;
  // The directory and all in it; the last act of a container's life.
  [[nodiscard]] absl::Status Remove() const;

 private:
  std::string path_;
  UniqueFd fd_;
  bool locked_;
};

class StateStore {
 public:
  explicit StateStore(std::string root) : root_(std::move(root)) {}

  // A new directory, locked. Errors: AlreadyExists; InvalidArgument for an id that cannot be a
  // name.
  absl::StatusOr<ContainerDir> Make(const std::string& id) const;

  enum class Lock { kNone, kExclusive };
  // Errors: NotFound.
  absl::StatusOr<ContainerDir> Open(const std::string& id, Lock lock) const;

  // Ids, sorted. A root that does not exist has none.
  absl::StatusOr<std::vector<std::string>> List() const;

 private:
  std::string root_;
};

// Whether this process is in a user namespace, so that its root is not the host's.
bool InUserNamespace();

// /run/gantry-oci, or the user's own runtime directory for who is not root on the host.
std::string DefaultRoot();

// Where compiled seccomp programs are kept between commands; root shares it with the shims.
std::string SeccompCacheDirectory();

}  // namespace gantry::cli

#endif  // GANTRY_CLI_STATE_STORE_H_
