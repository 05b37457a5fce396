#ifndef GANTRY_BASE_EXECUTOR_H_
#define GANTRY_BASE_EXECUTOR_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gantry {

// A bounded pool of threads for work that may block on the disk. The destructor finishes what was
// queued. Thread-safe.
class Executor {
 public:
  explicit Executor(int threads);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Run(std::function<void()> work);

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace gantry

#endif  // GANTRY_BASE_EXECUTOR_H_
