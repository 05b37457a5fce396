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
constexpr absl::Duration kReadLimit = absl::Milliseconds(250);

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

constexpr absl::string_view kBinary = "binary://";

absl::StatusOr<std::string> PathOf(const std::string& name) {
  absl::string_view path = name;
  if (absl::ConsumePrefix(&path, "fifo://")) return std::string(path);
  if (const size_t scheme = name.find("://"); scheme != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("stdio \"", name, "\": scheme \"",
                                                   name.substr(0, scheme),
                                                   "\" is not one that is known here"));
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

absl::StatusOr<std::unique_ptr<ProcessIo>> ProcessIo::Open(EventLoop& loop, IoSettings settings) {
  std::unique_ptr<ProcessIo> io(new ProcessIo(loop, std::move(settings)));
  GANTRY_RETURN_IF_ERROR(Annotate(io->OpenInput(), "open stdin"));
  GANTRY_RETURN_IF_ERROR(absl::StartsWith(io->names_.out, kBinary) ? io->StartLogger()
                                                                   : io->OpenOutputs());
  for (const UniqueFd* end : {&io->child_in_, &io->child_out_, &io->child_err_}) {
    GANTRY_RETURN_IF_ERROR(io->GiveToOwner(*end));
  }
  return io;
}

absl::Status ProcessIo::OpenOutputs() {
  GANTRY_RETURN_IF_ERROR(
      Annotate(OpenOutput(names_.out, &client_out_, &child_out_), "open stdout"));
  if (names_.terminal) return absl::OkStatus();  // all output goes to stdout's FIFO
  UniqueFd err;
  return Annotate(OpenOutput(names_.err, &err, &child_err_), "open stderr");
}

absl::Status ProcessIo::StartLogger() {
  // It gets the pipes themselves: what the process writes is not copied here. A terminal's output
  // is.
  UniqueFd from_out;
  UniqueFd from_err;
  UniqueFd& to_out = names_.terminal ? client_out_ : child_out_;
  UniqueFd unused;
  UniqueFd& to_err = names_.terminal ? unused : child_err_;
  for (const auto& [from, to] : {std::pair{&from_out, &to_out}, {&from_err, &to_err}}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "create a logger's pipe");
    from->reset(ends[0]);
    to->reset(ends[1]);
  }
  if (names_.terminal) GANTRY_RETURN_IF_ERROR(SetNonBlocking(client_out_.get()));
  GANTRY_ASSIGN_OR_RETURN(logger_, Logger::Start(loop_, names_.out, settings_.ns, settings_.id,
                                                 from_out.get(), from_err.get()));
  return absl::OkStatus();
}

void ProcessIo::WhenReady(std::function<void(absl::Status)> done) {
  if (logger_ == nullptr) return done(absl::OkStatus());
  logger_->WhenReady(std::move(done));
}

absl::Status ProcessIo::GiveToOwner(const UniqueFd& child_end) const {
  if (!child_end.valid() || (settings_.uid == 0 && settings_.gid == 0)) return absl::OkStatus();
  if (::fchown(child_end.get(), settings_.uid, settings_.gid) != 0) {
    return ErrnoError(errno, absl::StrCat("give stdio to user ", settings_.uid));
  }
  return absl::OkStatus();
}

ProcessIo::~ProcessIo() {
  if (limit_ != 0) loop_.Cancel(limit_);
  if (read_limit_ != 0) loop_.Cancel(read_limit_);
}

absl::Status ProcessIo::OpenInput() {
  if (names_.in.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(const std::string path, PathOf(names_.in));
  // Writers of a terminal's input come and go, which ends nothing: held open for writing too, the
  // FIFO has no end. Elsewhere the last writer's leaving is the end of the input.
  GANTRY_ASSIGN_OR_RETURN(client_in_,
                          OpenFile(path, (names_.terminal ? O_RDWR : O_RDONLY) | O_NONBLOCK));
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
                                                   [this] { OutputEnded(); }));
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
                                                   [this] { OutputEnded(); }));
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

void ProcessIo::WhenRead(std::function<void()> done) {
  if (AllDelivered()) return done();
  on_read_.push_back(std::move(done));
  if (read_limit_ != 0) return;
  read_limit_ = loop_.After(kReadLimit, [this] {
    read_limit_ = 0;
    TellRead();
  });
}

bool ProcessIo::AllDelivered() const {
  return std::all_of(outputs_.begin(), outputs_.end(),
                     [](const std::unique_ptr<StdioCopier>& output) { return output->Delivered(); });
}

void ProcessIo::TellRead() {
  if (read_limit_ != 0) loop_.Cancel(read_limit_);
  read_limit_ = 0;
  // Later, as in CheckDone.
  for (std::function<void()>& callback : on_read_) loop_.Post(std::move(callback));
  on_read_.clear();
}

void ProcessIo::OutputEnded() {
  if (!on_read_.empty() && AllDelivered()) TellRead();
  CheckDone();
}

void ProcessIo::Finish(std::function<void()> done) {
  on_finished_.push_back(std::move(done));
  ReleaseChildEnds();
  if (input_ != nullptr) input_->Abort();
  if (limit_ == 0) {
    limit_ = loop_.After(kDrainLimit, [this] {
      limit_ = 0;
      for (const std::unique_ptr<StdioCopier>& output : outputs_) output->Abort();
      if (logger_ != nullptr) logger_->End();
      CheckDone();
    });
  }
  for (const std::unique_ptr<StdioCopier>& output : outputs_) output->FinishWhenEmpty();
  if (logger_ != nullptr) logger_->WhenEnded([this] { CheckDone(); });
  CheckDone();
}

void ProcessIo::CheckDone() {
  if (on_finished_.empty()) return;
  for (const std::unique_ptr<StdioCopier>& output : outputs_) {
    if (!output->ended()) return;
  }
  if (logger_ != nullptr && !logger_->ended()) return;
  if (limit_ != 0) loop_.Cancel(limit_);
  limit_ = 0;
  console_.reset();
  client_out_.reset();
  // Later, since a callback may destroy this object and the copier that calls here.
  for (std::function<void()>& callback : on_finished_) loop_.Post(std::move(callback));
  on_finished_.clear();
}

}  // namespace gantry::shim
