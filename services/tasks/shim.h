#ifndef GANTRY_SERVICES_TASKS_SHIM_H_
#define GANTRY_SERVICES_TASKS_SHIM_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/any.h"
#include "base/unique_fd.h"

namespace gantry::tasks {

// The numbers are containerd.v1.types.Status'.
enum class Status { kUnknown, kCreated, kRunning, kStopped, kPaused, kPausing };

struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;
};

// Names of the client's FIFOs, or URIs of loggers; empty for none.
struct Stdio {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;
};

// `status` is the exit code, or 128 and the signal.
struct Exit {
  uint32_t pid = 0;
  uint32_t status = 0;
  absl::Time at = absl::UnixEpoch();
};

struct ProcessState {
  std::string container_id;
  std::string exec_id;  // empty for the init
  uint32_t pid = 0;
  Status status = Status::kUnknown;
  Stdio io;
  uint32_t exit_status = 0;
  absl::Time exited_at = absl::UnixEpoch();
};

struct PidInfo {
  uint32_t pid = 0;
  Any info;  // containerd.runc.v1.ProcessDetails, or empty
};

template <typename T>
using Done = std::function<void(absl::StatusOr<T> result)>;
using DoneStatus = std::function<void(absl::Status status)>;

// One shim, as the manager speaks with it. Every call answers exactly once, on the event loop's
// thread or within the call, and has a deadline of its own (DeadlineExceeded); Unavailable means
// that the shim is gone. Any thread may call. `exec_id` is empty for the init.
class Shim {
 public:
  struct CreateRequest {
    std::string id;
    std::string bundle;
    std::vector<Mount> rootfs;
    Stdio io;
    Any options;
  };

  virtual ~Shim() = default;

  virtual void Create(const CreateRequest& request, Done<uint32_t> done) = 0;
  virtual void Start(const std::string& id, const std::string& exec_id, Done<uint32_t> done) = 0;
  virtual void State(const std::string& id, const std::string& exec_id,
                     Done<ProcessState> done) = 0;
  virtual void Delete(const std::string& id, const std::string& exec_id, Done<Exit> done) = 0;
  virtual void Kill(const std::string& id, const std::string& exec_id, uint32_t signal, bool all,
                    DoneStatus done) = 0;
  virtual void Exec(const std::string& id, const std::string& exec_id, const Stdio& io,
                    const Any& spec, DoneStatus done) = 0;
  virtual void ResizePty(const std::string& id, const std::string& exec_id, uint32_t width,
                         uint32_t height, DoneStatus done) = 0;
  virtual void CloseStdin(const std::string& id, const std::string& exec_id, DoneStatus done) = 0;
  virtual void Pause(const std::string& id, DoneStatus done) = 0;
  virtual void Resume(const std::string& id, DoneStatus done) = 0;
  virtual void Update(const std::string& id, const Any& resources, DoneStatus done) = 0;
  virtual void Pids(const std::string& id, Done<std::vector<PidInfo>> done) = 0;
  virtual void Stats(const std::string& id, Done<Any> done) = 0;
  // Answers when the process has exited. The one call without a deadline.
  virtual void Wait(const std::string& id, const std::string& exec_id, Done<Exit> done) = 0;
  // Any method of the Task API, request and answer as bytes. Waits as long as Wait does.
  virtual void Forward(const std::string& method, std::string payload, Done<std::string> done) = 0;
  // Ends a shim that has no container left; with `now`, whatever it has.
  virtual void Shutdown(const std::string& id, bool now, DoneStatus done) = 0;

  // `callback` runs once when the connection has ended, whoever ended it.
  virtual void OnClose(std::function<void()> callback) = 0;
};

// What is written down to find a shim again after a restart of the daemon.
struct ShimAddress {
  std::string socket;
  int version = 2;          // of the Task API
  std::string binary;       // the program that made it; empty for gantry's own
  pid_t pid = -1;           // 0: a program's shim that did not tell
  uint64_t start_time = 0;  // clock ticks since boot, tells a reused pid
  std::string boot_id;
};

struct LaunchedShim {
  std::shared_ptr<Shim> shim;
  UniqueFd pidfd;  // readable when the shim has ended; empty if its pid is not known
  ShimAddress address;
  std::shared_ptr<void> log;  // keeps its log being read
};

struct LaunchRequest {
  std::string ns;
  std::string id;
  std::string bundle;
  std::string binary;  // the program to start; empty: gantry's own shim
  Any options;
};

// Where shims come from. The calls block for a short time; thread-safe.
class ShimLauncher {
 public:
  virtual ~ShimLauncher() = default;

  // Starts a shim for the bundle, writes its address into the bundle and connects. On an error
  // nothing of it is left: no process, no socket.
  virtual absl::StatusOr<LaunchedShim> Launch(const LaunchRequest& request) = 0;
  // Connects to a shim of an earlier life of the daemon. Errors: NotFound if it does not live any
  // more.
  virtual absl::StatusOr<LaunchedShim> Reconnect(const std::string& ns, const std::string& id,
                                                 const std::string& bundle) = 0;
  // Removes what the end of a shim that deleted its container leaves behind, its socket. Absent is
  // OK. Before the bundle is removed.
  virtual void Forget(const std::string& ns, const std::string& id, const std::string& bundle) = 0;
  // The same for a shim that died with its container, which is cleaned up as far as the shim's kind
  // needs more than its cgroup to be. Gives the exit that is then the container's. Errors: it is
  // not known.
  virtual absl::StatusOr<Exit> CleanUp(const std::string& ns, const std::string& id,
                                       const std::string& bundle) = 0;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_SHIM_H_
