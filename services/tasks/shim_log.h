#ifndef GANTRY_SERVICES_TASKS_SHIM_LOG_H_
#define GANTRY_SERVICES_TASKS_SHIM_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace gantry::tasks {

// The FIFO `log` of a bundle, which a shim writes its log to: its lines become the daemon's. Made
// and destroyed on any thread; the loop outlives it.
class ShimLog {
 public:
  // Makes the FIFO if it is not there.
  static absl::StatusOr<std::shared_ptr<ShimLog>> Open(EventLoop& loop, const std::string& bundle,
                                                       const std::string& ns,
                                                       const std::string& id);
  ~ShimLog();

 private:
  struct Reader;
  ShimLog(EventLoop& loop, std::shared_ptr<Reader> reader)
      : loop_(loop), reader_(std::move(reader)) {}

  EventLoop& loop_;
  const std::shared_ptr<Reader> reader_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_SHIM_LOG_H_
