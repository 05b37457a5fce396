#include <malloc.h>

#include <cstdio>
#include <cstring>

#include "shim/commands.h"
#include "shim/process_title.h"
#include "shim/zygote.h"

int main(int argc, char** argv) {
  using namespace gantry::shim;
  ::mallopt(M_ARENA_MAX, 1);
  RememberArguments(argc, argv);
  if (argc >= 2 && std::strcmp(argv[1], "zygote") == 0) return RunZygote();
  const absl::StatusOr<ShimArguments> arguments = ParseArguments(argc, argv);
  if (!arguments.ok()) {
    std::fprintf(stderr, "%s\n", std::string(arguments.status().message()).c_str());
    return 2;
  }
  if (arguments->version) return PrintVersion();
  if (arguments->info) return PrintInfo();
  if (arguments->action == "start") return RunStart(*arguments);
  if (arguments->action == "serve") return RunServe(*arguments);
  if (arguments->action == "delete") return RunDelete(*arguments);
  std::fputs("usage: containerd-shim-gantry-v1 [-v] [-info] -namespace NS -id ID start|delete\n",
             stderr);
  return 2;
}
