#include "services/tasks/shim_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"

namespace gantry::tasks {
namespace {

constexpr size_t kLongestLine = 4096;

LogLevel LevelOf(absl::string_view line) {
  if (line.find("level=error") != absl::string_view::npos) return LogLevel::kError;
  if (line.find("level=warn") != absl::string_view::npos) return LogLevel::kWarn;
  return LogLevel::kDebug;
}

}  // namespace

// For the loop's thread.
struct ShimLog::Reader {
  UniqueFd fifo;
  std::string ns;
  std::string id;
  std::string line;

  void Emit() {
    if (!line.empty()) Log(LevelOf(line), "shim", {{"namespace", ns}, {"task", id}, {"log", line}});
    line.clear();
  }
  // False at an end that will not pass.
  bool ReadSome() {
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(fifo.get(), buffer.data(), buffer.size());
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] == '\n' || line.size() == kLongestLine) Emit();
      if (buffer[i] != '\n') line.push_back(buffer[i]);
    }
    return true;
  }
};

absl::StatusOr<std::shared_ptr<ShimLog>> ShimLog::Open(EventLoop& loop, const std::string& bundle,
                                                       const std::string& ns,
                                                       const std::string& id) {
  const std::string path = absl::StrCat(bundle, "/log");
  if (::mkfifo(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, absl::StrCat("make ", path));
  }
  auto reader = std::make_shared<Reader>();
  reader->ns = ns;
  reader->id = id;
  // Open for writing as well, so that it has no end while the shim is not there yet.
  GANTRY_ASSIGN_OR_RETURN(reader->fifo, OpenFile(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW));
  loop.Post([&loop, reader] {
    const absl::Status added = loop.Add(reader->fifo.get(), EPOLLIN, [&loop, reader](uint32_t) {
      if (!reader->ReadSome()) loop.Remove(reader->fifo.get());
    });
    if (!added.ok()) LogWarn(absl::StrCat("read a shim's log: ", added.message()));
  });
  return std::shared_ptr<ShimLog>(new ShimLog(loop, std::move(reader)));
}

ShimLog::~ShimLog() {
  loop_.Post([&loop = loop_, reader = reader_] {
    loop.Remove(reader->fifo.get());
    // What it said last.
    pollfd readable{reader->fifo.get(), POLLIN, 0};
    while (::poll(&readable, 1, 0) == 1 && reader->ReadSome()) {
    }
    reader->Emit();
    reader->fifo.reset();
  });
}

}  // namespace gantry::tasks
