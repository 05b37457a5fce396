#include <malloc.h>

#include <cstdio>
#include <cstring>

#include "shim/process_title.h"
#include "shim/zygote.h"

int main(int argc, char** argv) {
  ::mallopt(M_ARENA_MAX, 1);
  gantry::shim::RememberArguments(argc, argv);
  if (argc >= 2 && std::strcmp(argv[1], "zygote") == 0) return gantry::shim::RunZygote();
  if (argc >= 2 && std::strcmp(argv[1], "-v") == 0) {
    std::puts("containerd-shim-gantry-v1:\n  Version:  0.1.0");
    return 0;
  }
  std::fputs(
      "containerd-shim-gantry-v1: started by gantryd; containerd's start protocol is not "
      "implemented yet\n",
      stderr);
  return 1;
}
