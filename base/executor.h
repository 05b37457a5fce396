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
//
// The thread that fell idle last is woken first: its stack and caches are warm, and the others stay
// untouched (and take no memory) while there is little to do.
class Executor {
 public:
  explicit Executor(int threads);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Run(std::function<void()> work);

 private:
  // One thread's bed. Guarded by mutex_.
  struct Sleeper {
    std::condition_variable wake;
    bool called = false;
  };

  void Work();
  // Takes the next piece of work; false when there is none and none will come.
  bool Next(Sleeper& sleeper, std::function<void()>* work);

  std::mutex mutex_;
  std::deque<std::function<void()>> queue_;
  std::vector<Sleeper*> idle_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace gantry

#endif  // GANTRY_BASE_EXECUTOR_H_
