#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/identifiers.h"
#include "base/json.h"
#include "base/log.h"
#include "proto/containerd/task/v2/shim.pb.h"
#include "runtime/cgroup/cgroup.h"
#include "shim/commands.h"
#include "shim/record.h"
#include "shim/set_time.h"
#include "shim/socket_address.h"

namespace gantry::shim {
namespace {

constexpr uint32_t kKilled = 128 + SIGKILL;

void Warn(const absl::Status& status, absl::string_view what) {
  if (!status.ok() && !absl::IsNotFound(status))
    LogWarn(absl::StrCat(what, ": ", status.message()));
}

// Of the container's spec, for a bundle whose shim died before it wrote its record.
std::string CgroupsPathOf(const std::string& bundle, const std::string& id) {
  const absl::StatusOr<std::string> text = ReadFile(absl::StrCat(bundle, "/config.json"));
  const absl::StatusOr<Json> json = text.ok() ? ParseJson(*text, "config.json") : text.status();
  if (json.ok() && json->is_object()) {
    const auto& spec_linux = json->find("linux");
    if (spec_linux != json->end() && spec_linux->is_object()) {
      const auto& path = spec_linux->find("cgroupsPath");
      if (path != spec_linux->end() && path->is_string() &&
          !path->get_ref<const std::string&>().empty()) {
        return path->get<std::string>();
      }
    }
  }
  return absl::StrCat("/", id);
}

void KillInit(const ContainerRecord& record) {
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, record.init_pid, 0)));
  // Asked after the pidfd was taken: the two are of one process.
  if (!pidfd.valid() || StartTimeOf(record.init_pid) != record.init_start_time) return;
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

void CleanCgroup(const std::string& path, bool kill) {
  const absl::StatusOr<std::unique_ptr<runtime::Cgroup>> cgroup = runtime::Cgroup::Open(path);
  Warn(cgroup.status(), "open the container's cgroup");
  if (!cgroup.ok()) return;
  if (kill) Warn((*cgroup)->KillAll(SIGKILL), "kill what is left of the container");
  Warn((*cgroup)->Remove(), "remove the container's cgroup");
}

void RemoveStaleSocket(const std::string& bundle) {
  const absl::StatusOr<std::string> address = ReadFile(absl::StrCat(bundle, "/address"), 4096);
  if (!address.ok()) return;
  const std::string path(absl::StripPrefix(*address, "unix://"));
  const absl::StatusOr<UniqueFd> lock = LockSockets();
  // The shim of a group lives on with other containers.
  if (lock.ok() && !ConnectTo(path).ok()) ::unlink(path.c_str());
}

absl::StatusOr<std::string> Delete(const ShimArguments& arguments) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("-id", arguments.id));
  const std::string bundle = arguments.bundle.empty() ? "." : arguments.bundle;
  const absl::StatusOr<ContainerRecord> record = ReadContainerRecord(bundle);
  if (record.ok()) {
    KillInit(*record);
    CleanCgroup(record->cgroups_path, /*kill=*/true);
  } else {
    // It may have been refused because its cgroup is another container's: nothing is killed.
    CleanCgroup(CgroupsPathOf(bundle, arguments.id), /*kill=*/false);
  }
  // None of ours; an earlier runtime may have left one.
  while (::umount2(absl::StrCat(bundle, "/rootfs").c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  RemoveStaleSocket(bundle);
  containerd::task::v2::DeleteResponse response;
  if (record.ok()) response.set_pid(static_cast<uint32_t>(record->init_pid));
  response.set_exit_status(kKilled);
  SetTime(absl::Now(), response.mutable_exited_at());
  return response.SerializeAsString();
}

}  // namespace

int RunDelete(const ShimArguments& arguments) {
  const absl::StatusOr<std::string> answer = Delete(arguments);
  if (!answer.ok()) {
    std::fprintf(stderr, "%s\n", std::string(answer.status().message()).c_str());
    return 1;
  }
  return WriteAll(STDOUT_FILENO, *answer, "standard output").ok() ? 0 : 1;
}

}  // namespace gantry::shim
