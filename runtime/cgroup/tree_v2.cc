#include "runtime/cgroup/tree_v2.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/path.h"

namespace gantry::runtime {
namespace {

constexpr char kOwnLeaf[] = "gantry-own";
constexpr char kSubtree[] = "cgroup.subtree_control";
// Processes may fork while they are moved.
constexpr int kMoveRounds = 16;

std::set<std::string> Words(absl::string_view text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
}

absl::StatusOr<std::set<std::string>> ReadWords(const CgroupDir& dir, const char* file) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, dir.Read(file));
  return Words(text);
}

std::string Parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Moves the processes that are directly in `level` into a leaf below it, if this one is among them.
// False if it is not: others' processes are none of ours.
absl::StatusOr<bool> MoveOwnProcesses(const CgroupDir& level) {
  const std::string path = JoinPath(level.path(), kOwnLeaf);
  const std::string own = absl::StrCat(::getpid());
  for (int round = 0; round < kMoveRounds; ++round) {
    GANTRY_ASSIGN_OR_RETURN(const std::set<std::string> pids, ReadWords(level, "cgroup.procs"));
    if (pids.empty()) return true;
    if (round == 0) {
      if (pids.count(own) == 0) return false;
      if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        return ErrnoError(errno, absl::StrCat("create cgroup ", path));
      }
    }
    GANTRY_ASSIGN_OR_RETURN(const CgroupDir leaf, CgroupDir::Open(path));
    for (const std::string& pid : pids) {
      const absl::Status moved = leaf.Write("cgroup.procs", pid);
      if (!moved.ok() && ErrnoOf(moved) != ESRCH) return moved;
    }
  }
  return true;
}

absl::Status WithHint(const CgroupDir& level, const std::string& controller,
                      const absl::Status& cause) {
  const std::string what = absl::StrCat("enable the ", controller, " controller in ", kSubtree,
                                        " of cgroup ", level.path());
  switch (ErrnoOf(cause)) {
    case EBUSY:
      return absl::FailedPreconditionError(absl::StrCat(
          what,
          ": there are processes in it, and a cgroup v2 has either processes or cgroups with "
          "controllers below it: choose another linux.cgroupsPath, or move them into a cgroup "
          "of their own"));
    case EOPNOTSUPP:
      return absl::FailedPreconditionError(
          absl::StrCat(what,
                       ": it belongs to a threaded tree (cgroup.type): choose another "
                       "linux.cgroupsPath"));
    default:
      return Annotate(cause, what);
  }
}

// Lets the cgroups below `level` have every controller that it has itself.
absl::Status EnableControllers(const CgroupDir& level, ControllerErrors* unavailable) {
  GANTRY_ASSIGN_OR_RETURN(std::set<std::string> missing, ReadWords(level, "cgroup.controllers"));
  GANTRY_ASSIGN_OR_RETURN(const std::set<std::string> enabled, ReadWords(level, kSubtree));
  for (const std::string& one : enabled) missing.erase(one);
  if (missing.empty()) return absl::OkStatus();
  const std::string all = absl::StrCat("+", absl::StrJoin(missing, " +"));
  absl::Status status = level.Write(kSubtree, all);
  if (ErrnoOf(status) == EBUSY) {
    const absl::StatusOr<bool> moved = MoveOwnProcesses(level);
    if (!moved.ok()) return moved.status();
    if (*moved) status = level.Write(kSubtree, all);
  }
  if (status.ok()) return status;
  // One that is refused takes the others with it. But beside processes the kernel would take the
  // threaded ones alone, and make a threaded tree of it all.
  const bool busy = ErrnoOf(status) == EBUSY;
  for (const std::string& one : missing) {
    if (busy) {
      unavailable->emplace(one, WithHint(level, one, status));
      continue;
    }
    const absl::Status alone = level.Write(kSubtree, absl::StrCat("+", one));
    if (!alone.ok()) unavailable->emplace(one, WithHint(level, one, alone));
  }
  return absl::OkStatus();
}

absl::Status CheckType(const CgroupDir& dir) {
  GANTRY_ASSIGN_OR_RETURN(const std::string type, dir.Read("cgroup.type"));
  if (absl::StripAsciiWhitespace(type) != "domain invalid") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cgroup ", dir.path(),
                   " is \"domain invalid\": its parent belongs to a threaded tree, where "
                   "no container can be: choose another linux.cgroupsPath"));
}

// Enables controllers from `root` down to the parent of `dir`.
absl::Status EnableInParents(const std::string& root, const CgroupDir& dir,
                             ControllerErrors* unavailable) {
  std::vector<std::string> levels;
  for (std::string at = dir.path(); at.size() > root.size();) {
    at = Parent(at);
    levels.push_back(at);
  }
  for (auto path = levels.rbegin(); path != levels.rend(); ++path) {
    GANTRY_ASSIGN_OR_RETURN(const CgroupDir level, CgroupDir::Open(*path));
    GANTRY_RETURN_IF_ERROR(EnableControllers(level, unavailable));
  }
  return CheckType(dir);
}

}  // namespace

std::string CgroupDirectoryV2(const CgroupLayout& layout, absl::string_view cgroups_path) {
  // A daemon that was moved out of its parents' way is where it was.
  const std::string own(absl::StripSuffix(layout.unified_own_path, absl::StrCat("/", kOwnLeaf)));
  return CgroupDirectory(layout.unified_mount, Parent(own), cgroups_path);
}

absl::StatusOr<MadeCgroup> MakeCgroupV2(const std::string& root, const std::string& path) {
  bool made = false;
  GANTRY_ASSIGN_OR_RETURN(CgroupDir dir, CgroupDir::MakeFresh(path, &made));
  MadeCgroup result{std::move(dir), made, {}};
  // Mostly the parents let through all that there is, by whoever came before.
  const auto enable = [&]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const CgroupDir top, CgroupDir::Open(root));
    GANTRY_ASSIGN_OR_RETURN(const std::string all, top.Read("cgroup.controllers"));
    GANTRY_ASSIGN_OR_RETURN(const std::string have, result.dir.Read("cgroup.controllers"));
    // A threaded tree offers nothing but a part.
    if (all == have && !absl::StripAsciiWhitespace(all).empty()) return absl::OkStatus();
    return EnableInParents(root, result.dir, &result.unavailable);
  };
  const absl::Status status = enable();
  if (status.ok()) return result;
  if (made) result.dir.Remove().IgnoreError();
  return status;
}

}  // namespace gantry::runtime
