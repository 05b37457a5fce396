#include "shim/logger.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace gantry::shim {
namespace {

constexpr absl::Duration kReadyLimit = absl::Seconds(10);
constexpr absl::Duration kEndLimit = absl::Seconds(2);
// Above those that the logger is given, so that one dup2 cannot close the source of the next.
constexpr int kFirstFree = 16;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = absl::ascii_tolower(static_cast<unsigned char>(c));
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Percent escapes; in a query a plus is a space. False if an escape is broken or makes a 0 byte.
bool Unescape(absl::string_view text, bool query, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (query && c == '+') {
      c = ' ';
    }
    if (c == '\0') return false;
    out->push_back(c);
  }
  return true;
}

void Signal(const UniqueFd& pidfd, int signal) {
  if (pidfd.valid()) ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

}  // namespace

absl::StatusOr<LoggerCommand> ParseLoggerUri(absl::string_view uri) {
  const auto broken = [uri](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("stdio \"", uri, "\": ", why));
  };
  absl::string_view rest = absl::StripPrefix(uri, "binary://");
  const size_t question = rest.find('?');
  const absl::string_view query =
      question == absl::string_view::npos ? "" : rest.substr(question + 1);
  LoggerCommand command;
  if (!Unescape(rest.substr(0, question), false, &command.path)) {
    return broken("an escape is broken");
  }
  if (command.path.empty() || command.path[0] != '/') {
    return broken("the logger's path is not absolute");
  }
  for (const absl::string_view pair : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const size_t equals = pair.find('=');
    std::string part;
    if (!Unescape(pair.substr(0, equals), true, &part)) return broken("an escape is broken");
    command.arguments.push_back(part);
    if (equals == absl::string_view::npos || equals + 1 == pair.size()) continue;
    if (!Unescape(pair.substr(equals + 1), true, &part)) return broken("an escape is broken");
    command.arguments.push_back(part);
  }
  return command;
}

absl::StatusOr<std::unique_ptr<Logger>> Logger::Start(EventLoop& loop, const std::string& uri,
                                                      const std::string& ns, const std::string& id,
                                                      int out, int err) {
  GANTRY_ASSIGN_OR_RETURN(const LoggerCommand command, ParseLoggerUri(uri));
  std::unique_ptr<Logger> logger(new Logger(loop, command.path));
  GANTRY_RETURN_IF_ERROR(logger->Spawn(command, ns, id, out, err));
  Logger* const self = logger.get();
  GANTRY_RETURN_IF_ERROR(
      loop.Add(logger->pidfd_.get(), EPOLLIN, [self](uint32_t) { self->HandleEnd(); }));
  GANTRY_RETURN_IF_ERROR(
      loop.Add(logger->ready_.get(), EPOLLIN, [self](uint32_t) { self->Ready(absl::OkStatus()); }));
  logger->ready_limit_ = loop.After(kReadyLimit, [self] {
    self->ready_limit_ = 0;
    self->Ready(absl::UnavailableError(absl::StrCat("logger ", self->path_, " was not ready in ",
                                                    absl::FormatDuration(kReadyLimit),
                                                    ": it has not closed descriptor 5")));
  });
  return logger;
}

absl::Status Logger::Spawn(const LoggerCommand& command, const std::string& ns,
                           const std::string& id, int out, int err) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "create a logger's pipe");
  ready_.reset(ends[0]);
  const UniqueFd ready_end(ends[1]);
  const UniqueFd sources[] = {UniqueFd(::fcntl(out, F_DUPFD_CLOEXEC, kFirstFree)),
                              UniqueFd(::fcntl(err, F_DUPFD_CLOEXEC, kFirstFree)),
                              UniqueFd(::fcntl(ready_end.get(), F_DUPFD_CLOEXEC, kFirstFree))};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  int target = 3;
  for (const UniqueFd& source : sources) {
    ::posix_spawn_file_actions_adddup2(&actions, source.get(), target++);
  }
  ::posix_spawn_file_actions_addclosefrom_np(&actions, target);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> texts = {command.path};
  texts.insert(texts.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  std::string id_variable = absl::StrCat("CONTAINER_ID=", id);
  std::string ns_variable = absl::StrCat("CONTAINER_NAMESPACE=", ns);
  char* const environment[] = {id_variable.data(), ns_variable.data(), nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, command.path.c_str(), &actions, &attributes,
                                  arguments.data(), environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, absl::StrCat("start logger ", command.path));
  // Children are reaped by this thread alone, so the number is still its own.
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd_.valid()) return ErrnoError(errno, absl::StrCat("open pidfd of logger ", pid));
  return absl::OkStatus();
}

Logger::~Logger() {
  if (ready_.valid()) loop_.Remove(ready_.get());
  if (pidfd_.valid()) loop_.Remove(pidfd_.get());
  if (ready_limit_ != 0) loop_.Cancel(ready_limit_);
  if (kill_ != 0) loop_.Cancel(kill_);
  Signal(pidfd_, SIGTERM);
}

void Logger::WhenReady(std::function<void(absl::Status)> done) {
  if (!ready_.valid()) return done(ready_status_);
  on_ready_ = std::move(done);
}

void Logger::Ready(absl::Status status) {
  loop_.Remove(ready_.get());
  ready_.reset();
  if (ready_limit_ != 0) loop_.Cancel(ready_limit_);
  ready_limit_ = 0;
  ready_status_ = std::move(status);
  // Last: it may destroy this object.
  const std::function<void(absl::Status)> done = std::exchange(on_ready_, nullptr);
  if (done) done(ready_status_);
}

void Logger::WhenEnded(std::function<void()> done) {
  if (ended()) return done();
  on_ended_ = std::move(done);
}

void Logger::HandleEnd() {
  loop_.Remove(pidfd_.get());
  pidfd_.reset();
  if (kill_ != 0) loop_.Cancel(kill_);
  kill_ = 0;
  const std::function<void()> done = std::exchange(on_ended_, nullptr);
  if (done) done();
}

void Logger::End() {
  Signal(pidfd_, SIGTERM);
  if (ended() || kill_ != 0) return;
  kill_ = loop_.After(kEndLimit, [this] {
    kill_ = 0;
    Signal(pidfd_, SIGKILL);
  });
}

}  // namespace gantry::shim
