#ifndef GANTRY_TESTS_SUPPORT_DAEMON_PROCESS_H_
#define GANTRY_TESTS_SUPPORT_DAEMON_PROCESS_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/temp_dir.h"
#include "base/unique_fd.h"

namespace gantry::test {

// How a process that was waited for ended, and what it wrote to standard error.
struct Ended {
  int exit_code = -1;  // -1 if a signal ended it
  int signal = 0;
  std::string log;
};

// A gantryd of the build tree on a root, a state directory and a socket of its own, below one
// temporary directory that goes with it. The destructor kills what is left of it. Not thread-safe.
class DaemonProcess {
 public:
  // Starts it and waits until it says that it serves (NOTIFY_SOCKET). Errors: what it logged, if it
  // ended instead.
  static absl::StatusOr<std::unique_ptr<DaemonProcess>> Start(
      const std::vector<std::string>& extra_arguments = {});
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  [[nodiscard]] const std::string& directory() const { return directory_.path(); }
  [[nodiscard]] std::string root() const { return directory() + "/root"; }
  [[nodiscard]] std::string state() const { return directory() + "/state"; }
  [[nodiscard]] std::string address() const { return directory() + "/g.sock"; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  // A channel of its own, without a size limit on this side.
  [[nodiscard]] std::shared_ptr<grpc::Channel> Channel() const;
  // A pidfd_send_signal(2).
  void Signal(int signal);
  // Waits for the end, at most `patience`. Errors: DeadlineExceeded.
  absl::StatusOr<Ended> Wait(absl::Duration patience = absl::Seconds(20));
  // What is added to the environment of the gantryds that are started from here on.
  void SetEnvironment(std::vector<std::string> variables) { environment_ = std::move(variables); }
  // Starts a gantryd again on the same directories, once the last has ended.
  absl::Status Restart();
  [[nodiscard]] std::string Log() const;

  // Runs a second gantryd with `arguments` to its end.
  static absl::StatusOr<Ended> Run(const std::vector<std::string>& arguments);

 private:
  explicit DaemonProcess(TempDir directory, std::vector<std::string> arguments)
      : directory_(std::move(directory)), arguments_(std::move(arguments)) {}

  TempDir directory_;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace gantry::test

#endif  // GANTRY_TESTS_SUPPORT_DAEMON_PROCESS_H_
