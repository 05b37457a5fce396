#ifndef GANTRY_TESTS_UNIT_SERVICES_TASKS_FAKE_SHIM_H_
#define GANTRY_TESTS_UNIT_SERVICES_TASKS_FAKE_SHIM_H_

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/file.h"
#include "services/tasks/bundle.h"
#include "services/tasks/shim.h"

namespace gantry::tasks {

// A shim that answers as it is told. Answers come on the loop's thread, like a real one's.
class FakeShim final : public Shim {
 public:
  explicit FakeShim(EventLoop& loop) : loop_(loop) {}

  // What the next calls answer.
  std::function<absl::StatusOr<uint32_t>()> on_create = [] { return 100u; };
  std::function<absl::StatusOr<uint32_t>()> on_start = [] { return 100u; };
  std::function<absl::StatusOr<ProcessState>(const std::string& exec_id)> on_state =
      [](const std::string&) {
        return ProcessState{.pid = 100, .status = Status::kRunning, .io = {.out = "/fifo"}};
      };
  std::function<absl::StatusOr<Exit>()> on_delete = [] {
    return Exit{100, 3, absl::FromUnixSeconds(50)};
  };
  std::function<absl::Status()> on_status = [] { return absl::OkStatus(); };
  std::function<absl::StatusOr<Any>()> on_stats = [] { return Any{"stats", "bytes"}; };

  void Create(const CreateRequest& request, Done<uint32_t> done) override {
    created = request;
    absl::StatusOr<uint32_t> pid = on_create();
    if (pid.ok()) {
      WriteFileAtomic(request.bundle + "/init.pid", absl::StrCat(*pid), 0600,
                      Durability::kNotDurable)
          .IgnoreError();
    }
    Answer("Create", std::move(pid), std::move(done));
  }
  void Start(const std::string&, const std::string&, Done<uint32_t> done) override {
    Answer("Start", on_start(), std::move(done));
  }
  void State(const std::string&, const std::string& exec_id, Done<ProcessState> done) override {
    if (!hangs) return Answer("State", on_state(exec_id), std::move(done));
    const std::lock_guard lock(mutex_);
    held_.emplace_back(exec_id, std::move(done));
  }
  // While it hangs, State is not answered; then what was asked is.
  void GoOn() {
    hangs = false;
    std::vector<std::pair<std::string, Done<ProcessState>>> held;
    {
      const std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (auto& [exec_id, done] : held) Answer("State", on_state(exec_id), std::move(done));
  }
  std::atomic<bool> hangs{false};
  void Delete(const std::string&, const std::string&, Done<Exit> done) override {
    Answer("Delete", on_delete(), std::move(done));
  }
  void Kill(const std::string&, const std::string&, uint32_t, bool, DoneStatus done) override {
    Answer("Kill", on_status(), std::move(done));
  }
  void Exec(const std::string&, const std::string&, const Stdio&, const Any&,
            DoneStatus done) override {
    Answer("Exec", on_status(), std::move(done));
  }
  void ResizePty(const std::string&, const std::string&, uint32_t, uint32_t,
                 DoneStatus done) override {
    Answer("ResizePty", on_status(), std::move(done));
  }
  void CloseStdin(const std::string&, const std::string&, DoneStatus done) override {
    Answer("CloseStdin", on_status(), std::move(done));
  }
  void Pause(const std::string&, DoneStatus done) override {
    Answer("Pause", on_status(), std::move(done));
  }
  void Resume(const std::string&, DoneStatus done) override {
    Answer("Resume", on_status(), std::move(done));
  }
  void Update(const std::string&, const Any&, DoneStatus done) override {
    Answer("Update", on_status(), std::move(done));
  }
  void Pids(const std::string&, Done<std::vector<PidInfo>> done) override {
    Answer("Pids", absl::StatusOr<std::vector<PidInfo>>(std::vector<PidInfo>{{100, {}}}),
           std::move(done));
  }
  void Stats(const std::string&, Done<Any> done) override {
    Answer("Stats", on_stats(), std::move(done));
  }
  void Wait(const std::string&, const std::string&, Done<Exit>) override {}
  void Forward(const std::string& method, std::string payload, Done<std::string> done) override {
    Answer("Forward", absl::StatusOr<std::string>(absl::StrCat(method, ":", payload)),
           std::move(done));
  }
  void Shutdown(const std::string&, bool, DoneStatus done) override {
    Answer("Shutdown", absl::OkStatus(), std::move(done));
  }
  void OnClose(std::function<void()> callback) override {
    const std::lock_guard lock(mutex_);
    on_close_.push_back(std::move(callback));
  }

  // The connection ends.
  void Close() {
    loop_.Post([this] {
      std::vector<std::function<void()>> callbacks;
      {
        const std::lock_guard lock(mutex_);
        callbacks.swap(on_close_);
      }
      for (const auto& callback : callbacks) callback();
    });
  }
  int Calls(const std::string& method) const {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(method);
    return found == calls_.end() ? 0 : found->second;
  }

  // The same, when there was one, or 0 after ten seconds.
  int CallsInTheEnd(const std::string& method) {
    std::unique_lock lock(mutex_);
    called_.wait_for(lock, std::chrono::seconds(10), [&] { return calls_[method] != 0; });
    return calls_[method];
  }

  CreateRequest created;

 private:
  template <typename T, typename D>
  void Answer(const std::string& method, T result, D done) {
    {
      const std::lock_guard lock(mutex_);
      ++calls_[method];
      called_.notify_all();
    }
    loop_.Post([result = std::move(result), done = std::move(done)] { done(result); });
  }

  EventLoop& loop_;
  mutable std::mutex mutex_;
  std::condition_variable called_;
  std::map<std::string, int> calls_;
  std::vector<std::function<void()>> on_close_;
  std::vector<std::pair<std::string, Done<ProcessState>>> held_;
};

// Gives fake shims, each with a process of its own behind its pidfd.
class FakeLauncher final : public ShimLauncher {
 public:
  explicit FakeLauncher(EventLoop& loop) : loop_(loop) {}
  ~FakeLauncher() override {
    for (const pid_t pid : children_) {
      ::kill(pid, SIGKILL);  // not reaped yet, so the number is still its own
      ::waitpid(pid, nullptr, 0);
    }
  }

  absl::Status launch_status;
  // Prepares each new shim before it is used.
  std::function<void(FakeShim&)> prepare = [](FakeShim&) {};
  // Living shims that a restarted daemon finds, by id.
  std::map<std::string, std::shared_ptr<FakeShim>> living;

  absl::StatusOr<LaunchedShim> Launch(const LaunchRequest& request) override {
    requested = request;
    if (!launch_status.ok()) return launch_status;
    auto shim = std::make_shared<FakeShim>(loop_);
    prepare(*shim);
    return WithProcess(shim);
  }
  absl::StatusOr<LaunchedShim> Reconnect(const std::string&, const std::string& id,
                                         const std::string&) override {
    const auto found = living.find(id);
    if (found == living.end()) return absl::NotFoundError("shim has ended");
    return WithProcess(found->second);
  }
  void Forget(const std::string&, const std::string&, const std::string&) override {}
  absl::StatusOr<Exit> CleanUp(const std::string&, const std::string&,
                               const std::string&) override {
    return absl::NotFoundError("no exit is known");
  }

  LaunchRequest requested;

  std::shared_ptr<FakeShim> last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  pid_t last_pid() const {
    const std::lock_guard lock(mutex_);
    return children_.back();
  }
  // Whether the process of the shim launched last has ended.
  bool last_ended() const {
    siginfo_t info = {};
    return ::waitid(P_PID, last_pid(), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == last_pid();
  }

 private:
  LaunchedShim WithProcess(const std::shared_ptr<FakeShim>& shim) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      for (;;) ::pause();
    }
    const std::lock_guard lock(mutex_);
    children_.push_back(pid);
    last_ = shim;
    return {shim, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), {}};
  }

  EventLoop& loop_;
  mutable std::mutex mutex_;
  std::vector<pid_t> children_;
  std::shared_ptr<FakeShim> last_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_TESTS_UNIT_SERVICES_TASKS_FAKE_SHIM_H_
