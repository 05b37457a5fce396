#ifndef GANTRY_RUNTIME_ZYGOTE_ZYGOTE_CLIENT_H_
#define GANTRY_RUNTIME_ZYGOTE_ZYGOTE_CLIENT_H_

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::runtime {

struct ShimRequest {
  std::string ns;
  std::string id;
  std::string bundle;         // absolute directory, the shim's working directory
  std::string ttrpc_address;  // path of the daemon's ttrpc socket, where events go
  bool debug = false;
  int listener = -1;  // bound and listening unix socket, borrowed: the caller closes its own
};

struct ForkedShim {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable when the shim has ended
};

// The daemon's end of the zygote: a process that has loaded the shim's code and forks shims from
// it, so that no image is loaded per container and the daemon, which has threads, never forks
// itself. The zygote runs from a sealed copy of the shim's binary in memory, which no container can
// overwrite (CVE-2019-5736). It ends with this object; shims live on.
//
// Thread-safe. A zygote that died is replaced by the next Fork.
class ZygoteClient {
 public:
  // Errors: NotFound if `shim_binary` is missing; errors of starting it.
  static absl::StatusOr<std::unique_ptr<ZygoteClient>> Start(const std::string& shim_binary);
  ~ZygoteClient();
  ZygoteClient(const ZygoteClient&) = delete;
  ZygoteClient& operator=(const ZygoteClient&) = delete;

  absl::StatusOr<ForkedShim> Fork(const ShimRequest& request);

  // Of the zygote that runs now. For tests and for diagnosis.
  pid_t pid() const;

 private:
  explicit ZygoteClient(UniqueFd image) : image_(std::move(image)) {}
  absl::Status Spawn();
  void End();

  const UniqueFd image_;
  mutable std::mutex mutex_;
  UniqueFd socket_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_ZYGOTE_ZYGOTE_CLIENT_H_
