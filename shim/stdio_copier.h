#ifndef GANTRY_SHIM_STDIO_COPIER_H_
#define GANTRY_SHIM_STDIO_COPIER_H_

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace gantry::shim {

// Copies one stream from a descriptor to another as the loop finds them ready. Nothing is read
// while the destination is full, so at most one buffer is held here. Loop thread only.
class StdioCopier {
 public:
  // Both non-blocking (a regular file as destination may block). `on_end` runs once, after the
  // source ended or failed, or the destination did; by then both are closed.
  //
  // A FIFO that is open for reading here as well (O_RDWR) is held until somebody has read what is
  // in it, for at most two seconds: the kernel drops the bytes of a FIFO that nobody has open, and
  // the client of a short-lived process may not have opened it yet. A reader that is there loses
  // nothing by the limit.
  StdioCopier(EventLoop& loop, UniqueFd source, UniqueFd destination, std::function<void()> on_end);
  ~StdioCopier();
  StdioCopier(const StdioCopier&) = delete;
  StdioCopier& operator=(const StdioCopier&) = delete;

  // What the source holds now is still delivered, then the copier ends although others may hold the
  // source's other end open.
  void FinishWhenEmpty();
  // Ends at once; what was not delivered is lost.
  void Abort();
  [[nodiscard]] bool ended() const { return ended_; }
  // Whether nothing is under way: the source is empty, and where the destination is a FIFO, so is
  // that.
  [[nodiscard]] bool Delivered() const;

 private:
  void Pump();
  bool Flush();  // false while the destination is full, or at the end
  void WatchSource(bool watch);
  void WatchDestination(bool watch);
  // The source has ended: ends at once, or when the destination has been read empty.
  void EndWhenRead();
  bool HoldsUnreadBytes() const;
  void End();
  std::function<void()> Again();

  EventLoop& loop_;
  UniqueFd source_;
  UniqueFd destination_;
  std::function<void()> on_end_;
  std::string pending_;
  UniqueFd reads_;  // inotify on the destination, while it is held for a reader
  EventLoop::TimerId hold_limit_ = 0;
  bool source_watched_ = false;
  bool destination_watched_ = false;
  bool finishing_ = false;
  bool ended_ = false;
  // For work put off to a later turn of the loop.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_STDIO_COPIER_H_
