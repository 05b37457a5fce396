#ifndef GANTRY_SHIM_PROCESS_IO_H_
#define GANTRY_SHIM_PROCESS_IO_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "runtime/container.h"
#include "shim/logger.h"
#include "shim/stdio_copier.h"

namespace gantry::shim {

// What the client named: FIFOs (plain path or fifo://), file://PATH for output, binary://PATH for a
// logger of both outputs, or nothing.
struct IoNames {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;
};

struct IoSettings {
  IoNames names;
  // For loggers: the container's namespace, and its id or the exec's.
  std::string ns;
  std::string id;
  // Owner of the pipes, so that a process of another user may open /dev/stdout again.
  uid_t uid = 0;
  gid_t gid = 0;
};

// Standard input and output of one process: the FIFOs of the client on one side, pipes or a
// terminal on the other, and the copying between. Loop thread only.
class ProcessIo {
 public:
  // Opens the client's side, makes pipes if there is no terminal, starts a logger if one is named,
  // and starts copying.
  // Errors: NotFound and so on for a path that cannot be opened; InvalidArgument for a name that
  // makes no sense.
  static absl::StatusOr<std::unique_ptr<ProcessIo>> Open(EventLoop& loop, IoSettings settings);
  ~ProcessIo();

  // Calls `done` once the process may be started: at once, or when its logger is ready. `done` may
  // destroy this object. Errors: as Logger::WhenReady.
  void WhenReady(std::function<void(absl::Status)> done);

  // The process's side, valid until ReleaseChildEnds; -1 where there is nothing.
  [[nodiscard]] runtime::Stdio child_ends() const;
  void ReleaseChildEnds();
  // The master of the process's terminal, instead of pipes.
  absl::Status AttachConsole(UniqueFd console);
  // Errors: FailedPrecondition without a terminal.
  absl::Status Resize(uint32_t width, uint32_t height);

  // The process's input ends after what the client has written until now.
  void CloseStdin();

  // After the process has ended: calls `done` once the client has read what was written, at once if
  // it has. A client that learns of an exit gives up a FIFO that it has not come to open yet, and
  // with it what is in there. Bounded: one that does not read is not waited for longer than a
  // busy machine lets a reader wait for its turn.
  void WhenRead(std::function<void()> done);

  // After the process has ended: delivers what it wrote, closes the client's side, then calls
  // `done`. Bounded: a client that does not read is waited for at most ten seconds, and processes
  // that inherited the pipes are not waited for. A logger that stays longer is told to end.
  void Finish(std::function<void()> done);

 private:
  ProcessIo(EventLoop& loop, IoSettings settings)
      : loop_(loop), settings_(std::move(settings)), names_(settings_.names) {}
  absl::Status OpenInput();
  absl::Status OpenOutputs();
  absl::Status StartLogger();
  absl::Status GiveToOwner(const UniqueFd& child_end) const;
  absl::Status OpenOutput(const std::string& name, UniqueFd* client, UniqueFd* child_end);
  void OutputEnded();
  [[nodiscard]] bool AllDelivered() const;
  void TellRead();
  void CheckDone();

  EventLoop& loop_;
  const IoSettings settings_;
  const IoNames& names_;
  std::unique_ptr<Logger> logger_;
  UniqueFd client_in_;   // terminal only: waits for AttachConsole
  UniqueFd client_out_;  // the same
  UniqueFd child_in_, child_out_, child_err_;
  UniqueFd console_;
  std::unique_ptr<StdioCopier> input_;
  std::vector<std::unique_ptr<StdioCopier>> outputs_;
  std::vector<std::function<void()>> on_read_;
  EventLoop::TimerId read_limit_ = 0;
  std::vector<std::function<void()>> on_finished_;
  EventLoop::TimerId limit_ = 0;
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_PROCESS_IO_H_
