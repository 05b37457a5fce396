#ifndef GANTRY_TESTS_UNIT_SERVICES_TASKS_FIXTURE_H_
#define GANTRY_TESTS_UNIT_SERVICES_TASKS_FIXTURE_H_

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <thread>

#include "base/executor.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "services/tasks/task_manager.h"
#include "tests/unit/services/tasks/fake_shim.h"

namespace gantry::tasks {

// Collects what the manager announces, and lets a test wait for it.
class EventLog final : public TaskEventSink {
 public:
  void TaskExited(const ProcessExit& event) override { Add("exit", event); }
  void TaskDeleted(const ProcessExit& event) override { Add("delete", event); }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  bool AwaitCount(size_t count) {
    std::unique_lock lock(mutex_);
    return added_.wait_for(lock, std::chrono::seconds(10), [&] { return lines_.size() >= count; });
  }

 private:
  void Add(absl::string_view what, const ProcessExit& event) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(absl::StrCat(what, " ", event.ns, "/", event.container_id, "/", event.exec_id,
                                  " ", event.exit.pid, " ", event.exit.status));
    added_.notify_all();
  }
  mutable std::mutex mutex_;
  std::condition_variable added_;
  std::vector<std::string> lines_;
};

class TaskManagerTest : public testing::Test {
 protected:
  TaskManagerTest()
      : state_(*TempDir::Create("gantry-tasks-")),
        loop_(*EventLoop::Create()),
        executor_(std::make_unique<Executor>(2)),
        launcher_(*loop_) {
    loop_thread_ = std::thread([this] { loop_->Run(); });
    MakeManager();
  }
  ~TaskManagerTest() override {
    // In the daemon's order: what the loop calls may use the executor until the end.
    loop_->Stop();
    loop_thread_.join();
    executor_.reset();
  }

  void MakeManager() {
    TaskManagerOptions options;
    options.state_dir = state_.path();
    options.shutdown_timeout = shutdown_timeout_;
    options.restore_patience = restore_patience_;
    options.find_container = [this](const std::string& ns,
                                    const std::string& id) -> absl::StatusOr<ContainerInfo> {
      if (id == "unknown") {
        return absl::NotFoundError(
            absl::StrCat("container \"", id, "\" in namespace \"", ns, "\": not found"));
      }
      return container_;
    };
    options.clean_cgroup = [this](const std::string& path) {
      const std::lock_guard lock(mutex_);
      cleaned_.push_back(path);
    };
    manager_ = std::make_unique<TaskManager>(*loop_, *executor_, launcher_, events_, options);
  }

  // Waits for the answer of a call that is given `done`.
  template <typename T, typename Call>
  T Await(Call call) {
    auto promise = std::make_shared<std::promise<T>>();
    std::future<T> answer = promise->get_future();
    call([promise](T result) { promise->set_value(std::move(result)); });
    if (answer.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      ADD_FAILURE() << "no answer in 20 s";
      return T(absl::DeadlineExceededError("test"));
    }
    return answer.get();
  }
  absl::StatusOr<uint32_t> Create(const std::string& id, const std::string& ns = "ns") {
    return Await<absl::StatusOr<uint32_t>>([&](auto done) {
      CreateTask request;
      request.id = id;
      request.io.out = "/fifo";
      manager_->Create(ns, request, done);
    });
  }
  absl::StatusOr<uint32_t> Start(const std::string& id, const std::string& exec = "") {
    return Await<absl::StatusOr<uint32_t>>(
        [&](auto done) { manager_->Start("ns", id, exec, done); });
  }
  absl::StatusOr<Exit> Delete(const std::string& id) {
    return Await<absl::StatusOr<Exit>>([&](auto done) { manager_->Delete("ns", id, done); });
  }
  absl::StatusOr<Exit> DeleteProcess(const std::string& id, const std::string& exec) {
    return Await<absl::StatusOr<Exit>>(
        [&](auto done) { manager_->DeleteProcess("ns", id, exec, done); });
  }
  absl::StatusOr<Exit> Wait(const std::string& id, const std::string& exec = "") {
    return Await<absl::StatusOr<Exit>>([&](auto done) { manager_->Wait("ns", id, exec, done); });
  }
  absl::Status Kill(const std::string& id) {
    return Await<absl::Status>([&](auto done) { manager_->Kill("ns", id, "", 9, false, done); });
  }
  absl::Status Exec(const std::string& id, const std::string& exec) {
    return Await<absl::Status>([&](auto done) { manager_->Exec("ns", id, exec, {}, {}, done); });
  }
  Status StatusOf(const std::string& id, const std::string& exec = "") {
    const absl::StatusOr<ProcessState> state = manager_->Get("ns", id, exec);
    return state.ok() ? state->status : Status::kUnknown;
  }
  bool Exited(const std::string& id, uint32_t status, const std::string& exec = "",
              uint32_t pid = 100) {
    return manager_->HandleExit({"ns", id, exec, {pid, status, absl::FromUnixSeconds(7)}});
  }
  std::string Bundle(const std::string& id) const { return state_.path() + "/tasks/ns/" + id; }
  bool BundleIsThere(const std::string& id) const {
    return ::access(Bundle(id).c_str(), F_OK) == 0;
  }
  std::vector<std::string> cleaned() const {
    const std::lock_guard lock(mutex_);
    return cleaned_;
  }

  TempDir state_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Executor> executor_;
  FakeLauncher launcher_;
  EventLog events_;
  absl::Duration shutdown_timeout_ = absl::Seconds(10);
  absl::Duration restore_patience_ = absl::Seconds(20);
  ContainerInfo container_{
      "io.containerd.runc.v2", {"options", "o"}, {"spec", R"({"linux":{"cgroupsPath":"/ns/c"}})"}};
  std::thread loop_thread_;
  mutable std::mutex mutex_;
  std::vector<std::string> cleaned_;
  // Last, so that it goes before what it uses.
  std::unique_ptr<TaskManager> manager_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_TESTS_UNIT_SERVICES_TASKS_FIXTURE_H_
