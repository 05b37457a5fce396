#include "shim/stdio_copier.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/path.h"

namespace gantry::shim {
namespace {

constexpr absl::Duration kHoldLimit = absl::Seconds(2);

}  // namespace

StdioCopier::StdioCopier(EventLoop& loop, UniqueFd source, UniqueFd destination,
                         std::function<void()> on_end)
    : loop_(loop),
      source_(std::move(source)),
      destination_(std::move(destination)),
      on_end_(std::move(on_end)) {
  WatchSource(true);
}

StdioCopier::~StdioCopier() {
  WatchSource(false);
  WatchDestination(false);
  if (reads_.valid()) loop_.Remove(reads_.get());
  if (hold_limit_ != 0) loop_.Cancel(hold_limit_);
}

void StdioCopier::WatchSource(bool watch) {
  if (watch == source_watched_) return;
  source_watched_ = watch;
  if (!watch) return loop_.Remove(source_.get());
  if (!loop_.Add(source_.get(), EPOLLIN, [this](uint32_t) { Pump(); }).ok()) End();
}

void StdioCopier::WatchDestination(bool watch) {
  if (watch == destination_watched_) return;
  destination_watched_ = watch;
  if (!watch) return loop_.Remove(destination_.get());
  if (!loop_.Add(destination_.get(), EPOLLOUT, [this](uint32_t) { Pump(); }).ok()) End();
}

void StdioCopier::Pump() {
  if (reads_.valid()) return;  // all was copied; only the reading is waited for
  // One bounded turn: a chatty process must not keep the loop from its other work.
  for (int turn = 0; turn < 16 && !ended_; ++turn) {
    if (!Flush()) return;
    std::array<char, 16384> buffer;
    const ssize_t got = ::read(source_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      if (finishing_) EndWhenRead();
      return;
    }
    // EIO is how the master of a terminal says that its last user has gone.
    if (got <= 0) return EndWhenRead();
    pending_.assign(buffer.data(), static_cast<size_t>(got));
  }
  if (!ended_) Flush();
  // What is left makes the loop call again, but an empty pipe does not: look once more.
  if (finishing_ && !ended_ && source_watched_) loop_.After(absl::ZeroDuration(), Again());
}

bool StdioCopier::Flush() {
  size_t sent = 0;
  while (sent < pending_.size()) {
    const ssize_t wrote =
        ::write(destination_.get(), pending_.data() + sent, pending_.size() - sent);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      pending_.erase(0, sent);
      WatchSource(false);
      WatchDestination(true);
      return false;
    }
    if (wrote < 0) {
      End();
      return false;
    }
    sent += static_cast<size_t>(wrote);
  }
  // An idle stream holds no memory.
  std::string().swap(pending_);
  WatchDestination(false);
  WatchSource(true);
  return !ended_;
}

void StdioCopier::FinishWhenEmpty() {
  if (ended_ || finishing_) return;
  finishing_ = true;
  Pump();
}

std::function<void()> StdioCopier::Again() {
  return [this, weak = std::weak_ptr<bool>(alive_)] {
    if (!weak.expired() && !ended_) Pump();
  };
}

void StdioCopier::Abort() {
  if (!ended_) End();
}

bool StdioCopier::HoldsUnreadBytes() const {
  // Only then are we a reader too, so that closing would be what drops the bytes.
  if ((::fcntl(destination_.get(), F_GETFL) & O_ACCMODE) != O_RDWR) return false;
  int unread = 0;
  return ::ioctl(destination_.get(), FIONREAD, &unread) == 0 && unread > 0;
}

bool StdioCopier::Delivered() const {
  if (ended_) return true;
  int unread = 0;
  if (!pending_.empty() || (::ioctl(source_.get(), FIONREAD, &unread) == 0 && unread > 0)) {
    return false;
  }
  return !HoldsUnreadBytes();
}

void StdioCopier::EndWhenRead() {
  if (!HoldsUnreadBytes()) return End();
  WatchSource(false);
  reads_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const auto on_read = [this](uint32_t) {
    std::array<char, 4096> events;
    while (::read(reads_.get(), events.data(), events.size()) > 0) {
    }
    if (!HoldsUnreadBytes()) End();
  };
  if (!reads_.valid() ||
      ::inotify_add_watch(reads_.get(), FdPath(destination_.get()).c_str(), IN_ACCESS) < 0 ||
      !loop_.Add(reads_.get(), EPOLLIN, on_read).ok()) {
    reads_.reset();
    return End();
  }
  hold_limit_ = loop_.After(kHoldLimit, [this] {
    hold_limit_ = 0;
    End();
  });
  // It may have been read before the watch was there.
  if (!HoldsUnreadBytes()) End();
}

void StdioCopier::End() {
  if (ended_) return;
  ended_ = true;
  if (reads_.valid()) loop_.Remove(reads_.get());
  reads_.reset();
  if (hold_limit_ != 0) loop_.Cancel(hold_limit_);
  hold_limit_ = 0;
  WatchSource(false);
  WatchDestination(false);
  source_.reset();
  destination_.reset();
  std::string().swap(pending_);
  const std::function<void()> on_end = std::move(on_end_);
  on_end_ = nullptr;
  if (on_end) on_end();
}

}  // namespace gantry::shim
