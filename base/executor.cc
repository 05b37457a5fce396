#include "base/executor.h"

namespace gantry {

Executor::Executor(int threads) {
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Executor::~Executor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (Sleeper* const sleeper : idle_) {
      sleeper->called = true;
      sleeper->wake.notify_one();
    }
    idle_.clear();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Executor::Run(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  if (idle_.empty()) return;  // whoever is done first takes it
  Sleeper* const sleeper = idle_.back();
  idle_.pop_back();
  sleeper->called = true;
  // Under the lock: a sleeper that is awake for another reason may end, and its bed with it.
  sleeper->wake.notify_one();
}

bool Executor::Next(Sleeper& sleeper, std::function<void()>* work) {
  std::unique_lock lock(mutex_);
  while (queue_.empty()) {
    if (stopping_) return false;
    sleeper.called = false;
    idle_.push_back(&sleeper);
    sleeper.wake.wait(lock, [&sleeper] { return sleeper.called; });
  }
  *work = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void Executor::Work() {
  Sleeper sleeper;
  for (;;) {
    std::function<void()> work;
    if (!Next(sleeper, &work)) return;
    work();
  }
}

}  // namespace gantry
