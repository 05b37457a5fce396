#include "base/fault_point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace gantry {
namespace {

constexpr int kCrash = -1;

struct State {
  std::mutex mutex;
  std::string name;
  int action = 0;  // errno, or kCrash
  int countdown = 0;
  bool recording = false;
  int log = -1;
  std::vector<std::string> recorded;
  std::shared_ptr<const std::function<void(absl::string_view)>> observer;
};

std::atomic<bool> g_active{false};

State& TheState() {
  static State* const state = new State;
  return *state;
}

int ParseAction(absl::string_view action) {
  if (action == "crash") return kCrash;
  for (const int number : {ENOSPC, EIO, EMFILE, ENOMEM, EDQUOT, EROFS, EPIPE, EINTR, EACCES}) {
    if (action == ::strerrorname_np(number)) return number;
  }
  return 0;
}

}  // namespace

absl::Status FaultPoint(absl::string_view name) {
  if (!g_active.load(std::memory_order_relaxed)) return absl::OkStatus();
  State& state = TheState();
  std::unique_lock lock(state.mutex);
  if (const auto observer = state.observer; observer != nullptr) {
    lock.unlock();  // it may take its time, and pass others
    (*observer)(name);
    lock.lock();
  }
  if (state.recording) state.recorded.emplace_back(name);
  if (state.log >= 0) ::dprintf(state.log, "%.*s\n", static_cast<int>(name.size()), name.data());
  if (state.name != name || state.countdown == 0 || --state.countdown > 0) return absl::OkStatus();
  if (state.action == kCrash) {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
  return ErrnoError(state.action, absl::StrCat("fault point ", name));
}

absl::Status ArmFault(absl::string_view name, absl::string_view action, int nth) {
  const int parsed = ParseAction(action);
  if (parsed == 0)
    return absl::InvalidArgumentError(absl::StrCat("fault action \"", action, "\" is unknown"));
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.name = std::string(name);
  state.action = parsed;
  state.countdown = nth;
  g_active = true;
  return absl::OkStatus();
}

void DisarmFaults() {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.countdown = 0;
  state.recording = false;
  state.recorded.clear();
  state.observer = nullptr;
  g_active = false;
}

void ObserveFaultPoints(std::function<void(absl::string_view name)> observer) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.observer =
      observer == nullptr
          ? nullptr
          : std::make_shared<const std::function<void(absl::string_view)>>(std::move(observer));
  if (state.observer != nullptr) g_active = true;
}

absl::Status ArmFaultFromEnvironment() {
  if (const char* path = ::getenv("GANTRY_FAULT_LOG"); path != nullptr) {
    const int log = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return ErrnoError(errno, absl::StrCat("open GANTRY_FAULT_LOG ", path));
    TheState().log = log;
    g_active = true;
  }
  const char* text = ::getenv("GANTRY_FAULT");
  if (text == nullptr) return absl::OkStatus();
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  const std::vector<std::string> name = absl::StrSplit(parts[0], absl::MaxSplits('@', 1));
  int nth = 1;
  if (parts.size() != 2 || (name.size() == 2 && !absl::SimpleAtoi(name[1], &nth))) {
    return absl::InvalidArgumentError(
        absl::StrCat("GANTRY_FAULT \"", text, "\": want NAME[@N]=ACTION"));
  }
  return ArmFault(name[0], parts[1], nth);
}

void RecordFaultPoints(bool on) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.recording = on;
  if (on) g_active = true;
}

std::vector<std::string> RecordedFaultPoints() {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  return state.recorded;
}

}  // namespace gantry
