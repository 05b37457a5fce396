#include "runtime/process/hooks.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace gantry::runtime {
namespace {

constexpr size_t kMaxToldOutput = 1024;

std::string Name(absl::string_view kind, size_t index, const Hook& hook) {
  return absl::StrCat(kind, " hook #", index, " (", hook.path, ")");
}

// In memory rather than pipes: nothing to drain while the hook runs, and a daemon that it leaves
// behind holds up nobody.
absl::StatusOr<UniqueFd> MemoryFile(const char* name, absl::string_view content) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "make a memory file for a hook");
  GANTRY_RETURN_IF_ERROR(WriteAll(file.get(), content, name));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind a memory file");
  return file;
}

std::string OutputOf(const UniqueFd& file) {
  std::string text(kMaxToldOutput, '\0');
  const off_t end = ::lseek(file.get(), 0, SEEK_END);
  const off_t from = end > static_cast<off_t>(text.size()) ? end - text.size() : 0;
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), from);
  text.resize(got > 0 ? got : 0);
  return std::string(absl::StripAsciiWhitespace(text));
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The child's descriptors and signals: standard ones only, nothing blocked or ignored.
class SpawnSettings {
 public:
  SpawnSettings(int in, int out, const std::string& directory) {
    ::posix_spawn_file_actions_init(&actions_);
    if (::access(directory.c_str(), X_OK) == 0) {
      ::posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
    }
    ::posix_spawn_file_actions_adddup2(&actions_, in, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, out, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, out, 2);
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  absl::Status Spawn(const Hook& hook, pid_t* pid) {
    const std::vector<std::string> only_path = {hook.path};
    const std::vector<char*> argv = Pointers(hook.args.empty() ? only_path : hook.args);
    const std::vector<char*> env = Pointers(hook.env);
    const int error =
        ::posix_spawn(pid, hook.path.c_str(), &actions_, &attributes_, argv.data(), env.data());
    return error == 0 ? absl::OkStatus() : ErrnoError(error, "execute");
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Its end, or its death after `timeout_ms` (-1: none).
absl::Status WaitFor(pid_t pid, int timeout_ms) {
  // Not reaped yet, so that the number is still its own.
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool late = false;
  if (pidfd.valid()) {
    pollfd waited{pidfd.get(), POLLIN, 0};
    int ready;
    do {
      ready = ::poll(&waited, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    late = ready == 0;
    if (late) ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  }
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) < 0) {
    if (errno != EINTR) return ErrnoError(errno, "wait for it");
  }
  if (late) return absl::InternalError("ran longer than its timeout and was killed");
  if (info.si_code != CLD_EXITED) {
    return absl::InternalError(absl::StrCat("was ended by signal ", info.si_status));
  }
  if (info.si_status != 0) {
    return absl::InternalError(absl::StrCat("exit status ", info.si_status));
  }
  return absl::OkStatus();
}

absl::Status RunHere(const Hook& hook, absl::string_view state, const std::string& directory) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd in, MemoryFile("hook-state", state));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd out, MemoryFile("hook-output", ""));
  SpawnSettings settings(in.get(), out.get(), directory);
  pid_t pid = -1;
  GANTRY_RETURN_IF_ERROR(settings.Spawn(hook, &pid));
  const int timeout_ms = hook.timeout_seconds.has_value() && *hook.timeout_seconds < 1000000
                             ? *hook.timeout_seconds * 1000
                             : -1;
  const absl::Status ended = WaitFor(pid, timeout_ms);
  if (ended.ok()) return ended;
  const std::string output = OutputOf(out);
  if (output.empty()) return ended;
  return absl::Status(ended.code(), absl::StrCat(ended.message(), ": ", output));
}

absl::Status RunNumbered(absl::string_view kind, size_t index, const Hook& hook,
                         absl::string_view json, const std::string& directory) {
  const absl::Status ran = RunHere(hook, json, directory);
  if (ran.ok()) return ran;
  return Annotate(WithCode(ran, absl::StatusCode::kInternal),
                  absl::StrCat("error running ", Name(kind, index, hook)));
}

HookArgs ToArgs(absl::string_view kind, size_t index, const Hook& hook, const HookState& state,
                absl::string_view status, PlanBuilder* plan) {
  HookArgs args{};
  args.name = plan->Text(Name(kind, index, hook));
  args.path = plan->Text(hook.path);
  args.argv = plan->TextArray(hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args);
  args.envp = plan->TextArray(hook.env);
  args.timeout_seconds = hook.timeout_seconds.value_or(0);
  std::string json = DumpJson(StateToJson(state, status, 0));
  json.pop_back();
  args.state_before_pid = plan->Text(absl::StrCat(json, ",\"pid\":"));
  args.state_after_pid = "}";
  return args;
}

}  // namespace

HookState HookStateOf(const Spec& spec, const std::string& id, const std::string& bundle) {
  return HookState{spec.oci_version, id, bundle, spec.annotations};
}

Json StateToJson(const HookState& state, absl::string_view status, pid_t pid) {
  Json json = {{"ociVersion", state.oci_version},
               {"id", state.id},
               {"status", std::string(status)},
               {"bundle", state.bundle},
               {"annotations", state.annotations}};
  if (pid > 0) json["pid"] = pid;
  return json;
}

void PlanCreateContainerHooks(const std::vector<Hook>& hooks, const HookState& state,
                              PlanBuilder* plan) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    plan->Add(RunHook, "run", Name("createContainer", i, hooks[i]),
              ToArgs("createContainer", i, hooks[i], state, "creating", plan));
  }
}

void PlanStartContainerHooks(const std::vector<Hook>& hooks, const HookState& state,
                             PlanBuilder* plan) {
  if (hooks.empty()) return;
  std::vector<HookArgs> all;
  for (size_t i = 0; i < hooks.size(); ++i) {
    all.push_back(ToArgs("startContainer", i, hooks[i], state, "created", plan));
  }
  plan->SetStartHooks(plan->KeepArray(all.data(), all.size()), all.size());
}

absl::Status RunHooks(absl::string_view kind, const std::vector<Hook>& hooks,
                      const HookState& state, absl::string_view status, pid_t pid) {
  if (hooks.empty()) return absl::OkStatus();
  const std::string json = DumpJson(StateToJson(state, status, pid));
  for (size_t i = 0; i < hooks.size(); ++i) {
    GANTRY_RETURN_IF_ERROR(RunNumbered(kind, i, hooks[i], json, state.bundle));
  }
  return absl::OkStatus();
}

void RunHooksAnyway(absl::string_view kind, const std::vector<Hook>& hooks, const HookState& state,
                    absl::string_view status, pid_t pid) {
  if (hooks.empty()) return;
  const std::string json = DumpJson(StateToJson(state, status, pid));
  for (size_t i = 0; i < hooks.size(); ++i) {
    const absl::Status ran = RunNumbered(kind, i, hooks[i], json, state.bundle);
    if (!ran.ok()) LogWarn(std::string(ran.message()), {{"container", state.id}});
  }
}

}  // namespace gantry::runtime
