#ifndef GANTRY_RUNTIME_PROCESS_PLAN_H_
#define GANTRY_RUNTIME_PROCESS_PLAN_H_

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "base/unique_fd.h"
#include "runtime/process/child/child.h"
#include "runtime/process/child/steps.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// Makes a ChildPlan and owns everything it points to. Lives until the child has executed or died.
class PlanBuilder {
 public:
  PlanBuilder() = default;
  PlanBuilder(const PlanBuilder&) = delete;
  PlanBuilder& operator=(const PlanBuilder&) = delete;

  // A copy that lives as long as the plan.
  const char* Text(std::string text) { return texts_.emplace_back(std::move(text)).c_str(); }

  template <typename T>
  const T* Keep(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return KeepArray(&value, 1);
  }
  template <typename T>
  const T* KeepArray(const T* values, size_t count) {
    auto& block =
        blocks_.emplace_back(std::make_unique<Unit[]>(count * sizeof(T) / sizeof(Unit) + 1));
    if (count != 0) std::memcpy(block.get(), values, count * sizeof(T));
    return reinterpret_cast<const T*>(block.get());
  }
  void KeepFd(UniqueFd fd) { fds_.push_back(std::move(fd)); }
  void KeepShared(std::shared_ptr<const void> value) { shared_.push_back(std::move(value)); }

  using Run = int (*)(Child&, const Step&) noexcept;
  void Add(Run run, std::string what, std::string subject) {
    steps_.push_back(Step{run, Text(std::move(what)), Text(std::move(subject)), nullptr});
  }
  template <typename T>
  void Add(Run run, std::string what, std::string subject, const T& data) {
    steps_.push_back(Step{run, Text(std::move(what)), Text(std::move(subject)), Keep(data)});
  }

  // Before all that were added so far.
  template <typename T>
  void AddFirst(Run run, std::string what, std::string subject, const T& data) {
    Add(run, std::move(what), std::move(subject), data);
    std::rotate(steps_.begin(), steps_.end() - 1, steps_.end());
  }

  // The program, its arguments and environment. `home_of` is the user whose home directory becomes
  // HOME (a step), if the environment has none.
  void SetProgram(const Process& process);
  void SetWaitForStart(bool wait) { plan_.wait_for_start = wait; }
  void SetListener(int listener) { plan_.listener = listener; }
  void SetKeptFds(unsigned count) { plan_.kept_fds = count; }
  void SetStartHooks(const HookArgs* hooks, size_t count) {
    plan_.start_hooks = hooks;
    plan_.start_hook_count = count;
  }
  // Copies of `texts`, ended by a null pointer, as execve(2) takes them.
  char* const* TextArray(const std::vector<std::string>& texts);
  void SetLateSeccomp(const SeccompArgs& args) { plan_.late_seccomp = Keep(args); }

  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  // The plan so far; the sockets are still to be set.
  [[nodiscard]] ChildPlan Build() const;

 private:
  using Unit = std::max_align_t;
  const char* const* Pointers(const std::vector<const char*>& texts);

  std::deque<std::string> texts_;
  std::vector<std::unique_ptr<Unit[]>> blocks_;
  std::vector<UniqueFd> fds_;
  std::vector<std::shared_ptr<const void>> shared_;
  std::vector<Step> steps_;
  ChildPlan plan_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_PLAN_H_
