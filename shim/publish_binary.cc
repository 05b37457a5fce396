#include "shim/publish_binary.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "base/wire.h"

namespace gantry::shim {
namespace {

struct Event {
  std::string ns;
  std::string topic;
  std::string any;
};

// ForwardRequest{envelope: Envelope{timestamp, namespace, topic, event: Any}}
Event Decode(absl::string_view request) {
  Event event;
  WireReader outer(request);
  if (!outer.Next()) return event;
  WireReader envelope(outer.bytes());
  while (envelope.Next()) {
    if (envelope.field() == 2) event.ns = envelope.str();
    if (envelope.field() == 3) event.topic = envelope.str();
    if (envelope.field() == 4) event.any = envelope.str();
  }
  return event;
}

// A file rather than a pipe: nobody has to feed it while the program reads.
absl::StatusOr<UniqueFd> MemoryFile(absl::string_view bytes) {
  UniqueFd file(::memfd_create("event", MFD_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "create a memory file");
  GANTRY_RETURN_IF_ERROR(WriteAll(file.get(), bytes, "an event"));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind an event");
  return file;
}

}  // namespace

void PublishBinary::Publish(absl::string_view request, std::function<void(absl::Status)> done) {
  Event event = Decode(request);
  const absl::StatusOr<UniqueFd> input = MemoryFile(event.any);
  if (!input.ok()) return done(WithCode(input.status(), absl::StatusCode::kUnavailable));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input->get(), 0);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t all;
  ::sigfillset(&all);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::string texts[] = {program_,  "--address", address_,      "publish",
                         "--topic", event.topic, "--namespace", event.ns};
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  const int error =
      ::posix_spawnp(&pid_, program_.c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return done(absl::UnavailableError(absl::StrCat("run ", program_, ": ", std::strerror(error))));
  }
  done_ = std::move(done);
}

void PublishBinary::HandleChild(pid_t pid, uint32_t exit_status) {
  if (pid != pid_ || done_ == nullptr) return;
  const std::function<void(absl::Status)> done = std::exchange(done_, nullptr);
  done(exit_status == 0
           ? absl::OkStatus()
           : absl::UnavailableError(absl::StrCat(program_, " publish ended with ", exit_status)));
}

}  // namespace gantry::shim
