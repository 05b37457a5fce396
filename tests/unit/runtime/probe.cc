// A static program that is copied into a test's container and tries what busybox has no words for.
// Prints what came of it; ends with 0 unless it was called wrongly.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// Types a command line into a terminal as if its user had.
void Type(int fd) {
  for (const char* c = "id\n"; *c != '\0'; ++c) {
    if (::ioctl(fd, TIOCSTI, c) != 0) {
      std::printf("TIOCSTI: %s\n", std::strerror(errno));
      return;
    }
  }
  std::puts("TIOCSTI: typed");
}

// Takes a terminal for its own, by force if need be.
void Take(int fd) {
  std::printf("TIOCSCTTY: %s\n", ::ioctl(fd, TIOCSCTTY, 1) == 0 ? "taken" : std::strerror(errno));
}

void Open(const char* path, int flags) {
  const int fd = ::open(path, flags);
  std::printf("open: %s\n", fd < 0 ? std::strerror(errno) : "opened");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (std::strcmp(argv[1], "type") == 0) {
    Type(0);
  } else if (std::strcmp(argv[1], "take") == 0) {
    Take(0);
  } else if (std::strcmp(argv[1], "open") == 0 && argc > 2) {
    Open(argv[2], O_RDONLY);
  } else {
    return 2;
  }
  return 0;
}
