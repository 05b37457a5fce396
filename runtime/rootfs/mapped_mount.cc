#include "runtime/rootfs/mapped_mount.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "runtime/process/id_mapping.h"

namespace gantry::runtime {
namespace {

// What the child says, in one write of less than a pipe takes at once.
struct Answer {
  int result;  // a descriptor, which is the parent's too, or -errno
  char detail[kDetailSize];
};

absl::StatusOr<std::vector<IdMapping>> ParseIdMap(const char* key, absl::string_view text) {
  std::vector<IdMapping> mappings;
  for (const absl::string_view range : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(range, ':');
    IdMapping mapping;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &mapping.container_id) ||
        !absl::SimpleAtoi(parts[1], &mapping.host_id) ||
        !absl::SimpleAtoi(parts[2], &mapping.size) || mapping.size == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("rootfs: option ", key, text, ": want CONTAINER:HOST:SIZE,..."));
    }
    mappings.push_back(mapping);
  }
  return mappings;
}

// The child's whole life.
[[noreturn]] void MakeInChild(const MountArgs& args, const std::vector<const char*>& layers,
                              int id_map, int report) noexcept {
  Child words{};
  Answer answer{};
  answer.result = OpenMappedOverlay(words, args, layers.data(), layers.size(), id_map);
  std::memcpy(answer.detail, words.report.detail, sizeof answer.detail);
  while (::write(report, &answer, sizeof answer) < 0 && errno == EINTR) {
  }
  ::syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

}  // namespace

absl::StatusOr<UniqueFd> TakeIdMap(std::vector<std::string>* options) {
  std::string uids;
  std::string gids;
  std::vector<std::string> rest;
  for (std::string& option : *options) {
    absl::string_view value = option;
    if (absl::ConsumePrefix(&value, "uidmap=")) {
      uids = std::string(value);
    } else if (absl::ConsumePrefix(&value, "gidmap=")) {
      gids = std::string(value);
    } else {
      rest.push_back(std::move(option));
    }
  }
  *options = std::move(rest);
  if (uids.empty() && gids.empty()) return UniqueFd();
  if (uids.empty() || gids.empty()) {
    return absl::InvalidArgumentError("rootfs: options uidmap and gidmap: want both or none");
  }
  GANTRY_ASSIGN_OR_RETURN(const std::vector<IdMapping> uid_map, ParseIdMap("uidmap=", uids));
  GANTRY_ASSIGN_OR_RETURN(const std::vector<IdMapping> gid_map, ParseIdMap("gidmap=", gids));
  absl::StatusOr<UniqueFd> made = MakeUserNamespace(uid_map, gid_map);
  if (made.ok()) return made;
  return Annotate(made.status(), absl::StrCat("rootfs: uidmap=", uids, ", gidmap=", gids));
}

absl::StatusOr<int> MakeMappedOverlay(const MountArgs& args, const UniqueFd& id_map, Child* words) {
  std::vector<const char*> layers;
  for (size_t i = 0; i < args.option_count; ++i) {
    if (std::strcmp(args.options[i].key, "lowerdir+") == 0) layers.push_back(args.options[i].value);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoError(errno, "make a pipe");
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  int pidfd = -1;
  struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  } clone{};
  // One table of descriptors: the tree that the child makes is the parent's.
  clone.flags = CLONE_NEWNS | CLONE_FILES | CLONE_PIDFD;
  clone.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  clone.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &clone, sizeof clone);
  if (pid == 0) MakeInChild(args, layers, id_map.get(), writing.get());
  if (pid < 0) return ErrnoError(errno, "make a mount namespace");
  const UniqueFd child(pidfd);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(child.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
  Answer answer{};
  if (::read(reading.get(), &answer, sizeof answer) != sizeof answer) {
    return absl::InternalError("the child that maps the layers of the root died");
  }
  std::memcpy(words->report.detail, answer.detail, sizeof answer.detail);
  return answer.result;
}

}  // namespace gantry::runtime
