#include "shim/process_io.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::shim {
namespace {

constexpr absl::Duration kDrainLimit = absl::Seconds(10);

absl::Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoError(errno, "make a pipe non-blocking");
  }
  return absl::OkStatus();
}

// `ours` does not block; `theirs` does, as programs expect of their standard streams.
absl::Status MakePipe(UniqueFd* read_end, UniqueFd* write_end, bool we_read) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "create a pipe");
  read_end->reset(ends[0]);
  write_end->reset(ends[1]);
  return SetNonBlocking(we_read ? ends[0] : ends[1]);
}

absl::StatusOr<std::string> PathOf(const std::string& name) {
  absl::string_view path = name;
  if (absl::ConsumePrefix(&path, "fifo://")) return std::string(path);
  if (const size_t scheme = name.find("://"); scheme != std::string::npos) {
    return absl::UnimplementedError(absl::StrCat("stdio \"", name, "\": scheme \"",
                                                 name.substr(0, scheme), "\" is not implemented"));
  }
  return name;
}

absl::StatusOr<UniqueFd> OpenLog(const std::string& path) {
  if (const size_t slash = path.rfind('/'); slash != std::string::npos && slash != 0) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash)));
  }
  return OpenFile(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
}

// Open for reading as well: the process behind must not be killed by a client that leaves, nor must
// opening wait for one to come.
absl::StatusOr<UniqueFd> OpenOutputName(const std::string& name) {
  absl::string_view path = name;
  if (absl::ConsumePrefix(&path, "file://")) return OpenLog(std::string(path));
  GANTRY_ASSIGN_OR_RETURN(const std::string fifo, PathOf(name));
  return OpenFile(fifo, O_RDWR | O_NONBLOCK);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessIo>> ProcessIo::Open(EventLoop& loop, IoNames names) {
  std::unique_ptr<ProcessIo> io(new ProcessIo(loop, std::move(names)));
  GANTRY_RETURN_IF_ERROR(Annotate(io->OpenInput(), "open stdin"));
  UniqueFd err;  // with a terminal all output goes to stdout's FIFO
  GANTRY_RETURN_IF_ERROR(
      Annotate(io->OpenOutput(io->names_.out, &io->client_out_, &io->child_out_), "open stdout"));
  if (!io->names_.terminal) {
    GANTRY_RETURN_IF_ERROR(
        Annotate(io->OpenOutput(io->names_.err, &err, &io->child_err_), "open stderr"));
  }
  return io;
}

ProcessIo::~ProcessIo() {
  if (limit_ != 0) loop_.Cancel(limit_);
}

absl::Status ProcessIo::OpenInput() {
  if (names_.in.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(const std::string path, PathOf(names_.in));
  GANTRY_ASSIGN_OR_RETURN(client_in_, OpenFile(path, O_RDONLY | O_NONBLOCK));
  if (names_.terminal) return absl::OkStatus();
  UniqueFd ours;
  GANTRY_RETURN_IF_ERROR(MakePipe(&child_in_, &ours, /*we_read=*/false));
  input_ = std::make_unique<StdioCopier>(loop_, std::move(client_in_), std::move(ours), nullptr);
  return absl::OkStatus();
}

absl::Status ProcessIo::OpenOutput(const std::string& name, UniqueFd* client, UniqueFd* child_end) {
  if (name.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(*client, OpenOutputName(name));
  if (names_.terminal) return absl::OkStatus();
  UniqueFd ours;
  GANTRY_RETURN_IF_ERROR(MakePipe(&ours, child_end, /*we_read=*/true));
  outputs_.push_back(std::make_unique<StdioCopier>(loop_, std::move(ours), std::move(*client),
                                                   [this] { CheckDone(); }));
  return absl::OkStatus();
}

runtime::Stdio ProcessIo::child_ends() const {
  return {child_in_.get(), child_out_.get(), child_err_.get()};
}

void ProcessIo::ReleaseChildEnds() {
  child_in_.reset();
  child_out_.reset();
  child_err_.reset();
}

absl::Status ProcessIo::AttachConsole(UniqueFd console) {
  GANTRY_RETURN_IF_ERROR(SetNonBlocking(console.get()));
  const auto copy_of = [&console](UniqueFd* copy) {
    copy->reset(::fcntl(console.get(), F_DUPFD_CLOEXEC, 0));
    return copy->valid() ? absl::OkStatus() : ErrnoError(errno, "duplicate the console");
  };
  if (client_in_.valid()) {
    UniqueFd to;
    GANTRY_RETURN_IF_ERROR(copy_of(&to));
    input_ = std::make_unique<StdioCopier>(loop_, std::move(client_in_), std::move(to), nullptr);
  }
  // Output nobody asked for is read all the same, or the process would wait in write(2).
  if (!client_out_.valid()) {
    GANTRY_ASSIGN_OR_RETURN(client_out_, OpenFile("/dev/null", O_WRONLY));
  }
  UniqueFd from;
  GANTRY_RETURN_IF_ERROR(copy_of(&from));
  outputs_.push_back(std::make_unique<StdioCopier>(loop_, std::move(from), std::move(client_out_),
                                                   [this] { CheckDone(); }));
  console_ = std::move(console);
  return absl::OkStatus();
}

absl::Status ProcessIo::Resize(uint32_t width, uint32_t height) {
  if (!console_.valid()) return absl::FailedPreconditionError("process has no terminal");
  winsize size{};
  size.ws_col = static_cast<uint16_t>(std::min(width, 65535u));
  size.ws_row = static_cast<uint16_t>(std::min(height, 65535u));
  if (::ioctl(console_.get(), TIOCSWINSZ, &size) != 0) {
    return ErrnoError(errno, "resize the terminal");
  }
  return absl::OkStatus();
}

void ProcessIo::CloseStdin() {
  // A terminal stays: there input ends by ^D, which is data.
  if (input_ != nullptr && !names_.terminal) input_->FinishWhenEmpty();
}

void ProcessIo::Finish(std::function<void()> done) {
  on_finished_.push_back(std::move(done));
  ReleaseChildEnds();
  if (input_ != nullptr) input_->Abort();
  if (limit_ == 0) {
    limit_ = loop_.After(kDrainLimit, [this] {
      limit_ = 0;
      for (const std::unique_ptr<StdioCopier>& output : outputs_) output->Abort();
      CheckDone();
    });
  }
  for (const std::unique_ptr<StdioCopier>& output : outputs_) output->FinishWhenEmpty();
  CheckDone();
}

void ProcessIo::CheckDone() {
  if (on_finished_.empty()) return;
  for (const std::unique_ptr<StdioCopier>& output : outputs_) {
    if (!output->ended()) return;
  }
  if (limit_ != 0) loop_.Cancel(limit_);
  limit_ = 0;
  console_.reset();
  client_out_.reset();
  // Later, since a callback may destroy this object and the copier that calls here.
  for (std::function<void()>& callback : on_finished_) loop_.Post(std::move(callback));
  on_finished_.clear();
}

}  // namespace gantry::shim
