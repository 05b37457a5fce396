#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"

// Stands in for libFuzzer where it is not linked: runs the target once over each file of the
// directories that are named.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  int replayed = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string directory = argv[i];
    const auto names = gantry::ListDirectory(directory);
    if (!names.ok()) {
      std::fprintf(stderr, "%s\n", std::string(names.status().message()).c_str());
      return EXIT_FAILURE;
    }
    for (const std::string& name : *names) {
      const auto bytes = gantry::ReadFile(directory + "/" + name);
      if (!bytes.ok()) {
        std::fprintf(stderr, "%s\n", std::string(bytes.status().message()).c_str());
        return EXIT_FAILURE;
      }
      std::printf("%s\n", name.c_str());
      std::fflush(stdout);
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size());
      ++replayed;
    }
  }
  std::printf("%d inputs\n", replayed);
  return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
