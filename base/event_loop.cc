#include "base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/time/clock.h"
#include "base/errors.h"

namespace gantry {
namespace {

// epoll hands back 64 bits: the descriptor, and a generation that tells a late event for a removed
// descriptor from one for whatever reuses its number.
uint64_t Tag(int fd, uint64_t generation) { return (generation << 32) | static_cast<uint32_t>(fd); }

// The loop whose RunOnce this thread is in.
thread_local const EventLoop* running = nullptr;

class Running {
 public:
  explicit Running(const EventLoop* loop) : before_(std::exchange(running, loop)) {}
  ~Running() { running = before_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  const EventLoop* const before_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoError(errno, "create an epoll instance");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError(errno, "create an eventfd");
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(wake)));
  EventLoop* self = loop.get();
  GANTRY_RETURN_IF_ERROR(loop->Add(loop->wake_.get(), EPOLLIN, [self](uint32_t) {
    uint64_t count;
    while (::read(self->wake_.get(), &count, sizeof count) < 0 && errno == EINTR) {
    }
  }));
  return loop;
}

EventLoop::~EventLoop() = default;

absl::Status EventLoop::Add(int fd, uint32_t events, IoCallback callback) {
  // 32 bits of generation travel in the tag; a clash needs 2^32 registrations between two waits.
  const uint64_t generation = next_generation_++ & 0xffffffff;
  epoll_event event{};
  event.events = events;
  event.data.u64 = Tag(fd, generation);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoError(errno, absl::StrCat("watch descriptor ", fd));
  }
  entries_[fd] = Entry{generation, std::make_shared<IoCallback>(std::move(callback))};
  return absl::OkStatus();
}

absl::Status EventLoop::Modify(int fd, uint32_t events) {
  const auto found = entries_.find(fd);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat("descriptor ", fd, " is not watched"));
  }
  epoll_event event{};
  event.events = events;
  event.data.u64 = Tag(fd, found->second.generation);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return ErrnoError(errno, absl::StrCat("change the watch of descriptor ", fd));
  }
  return absl::OkStatus();
}

void EventLoop::Remove(int fd) {
  if (entries_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::After(absl::Duration delay, std::function<void()> callback) {
  const TimerId id = next_timer_++;
  const absl::Time deadline = absl::Now() + delay;
  timers_.emplace(std::make_pair(deadline, id), std::move(callback));
  timer_deadlines_.emplace(id, deadline);
  return id;
}

void EventLoop::Cancel(TimerId timer) {
  const auto found = timer_deadlines_.find(timer);
  if (found == timer_deadlines_.end()) return;
  timers_.erase({found->second, timer});
  timer_deadlines_.erase(found);
}

void EventLoop::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    if (posted_.size() > 1) return;  // the wake-up for the first has not been served yet
  }
  // The loop looks at what was posted before it waits again.
  if (running == this) return;
  const uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void EventLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  const uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void EventLoop::Run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
    }
    RunOnce(absl::InfiniteDuration());
  }
}

int EventLoop::WaitMilliseconds(absl::Duration limit) const {
  if (!timers_.empty()) {
    limit = std::min(limit, timers_.begin()->first.first - absl::Now());
  }
  if (limit == absl::InfiniteDuration()) return -1;
  if (limit <= absl::ZeroDuration()) return 0;
  // Rounded up, so that a timer never makes the loop spin through its last millisecond.
  return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(limit) + 1, 1 << 30));
}

void EventLoop::RunOnce(absl::Duration timeout) {
  const Running mark(this);
  {
    // By this thread, which has not written to the eventfd for it.
    const std::lock_guard lock(mutex_);
    if (!posted_.empty()) timeout = absl::ZeroDuration();
  }
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 WaitMilliseconds(timeout));
  for (int i = 0; i < count; ++i) {
    const int fd = static_cast<int>(events[i].data.u64 & 0xffffffff);
    const auto found = entries_.find(fd);
    if (found == entries_.end() || found->second.generation != events[i].data.u64 >> 32) continue;
    // Held here, so that a callback may remove its own entry.
    const std::shared_ptr<IoCallback> callback = found->second.callback;
    (*callback)(events[i].events);
  }
  RunPosted();
  RunTimers();
}

void EventLoop::RunPosted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const std::function<void()>& one : work) one();
}

void EventLoop::RunTimers() {
  const absl::Time now = absl::Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_deadlines_.erase(node.key().second);
    node.mapped()();
  }
}

}  // namespace gantry
