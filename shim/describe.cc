#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "proto/containerd/types/introspection.pb.h"
#include "shim/commands.h"

namespace gantry::shim {
namespace {

constexpr char kVersion[] = "0.1.0";

// Source: OCI runtime-spec 1.2, features.md.
Json Features() {
  return {{"ociVersionMin", "1.0.0"},
          {"ociVersionMax", "1.2.0"},
          {"hooks", {"prestart", "createRuntime", "poststart", "poststop"}},
          {"linux",
           {{"namespaces", {"cgroup", "ipc", "mount", "network", "pid", "uts"}},
            {"cgroup", {{"v1", true}, {"v2", true}, {"systemd", true}}},
            {"seccomp", {{"enabled", true}}}}}};
}

}  // namespace

int PrintVersion() {
  std::printf("containerd-shim-gantry-v1:\n  Version:  %s\n", kVersion);
  return 0;
}

int PrintInfo() {
  containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.gantry.v1");
  info.mutable_version()->set_version(kVersion);
  // The options asked with are those in force: none of them changes what is told here.
  if (!::isatty(STDIN_FILENO)) {
    const absl::StatusOr<std::string> given = ReadFd(STDIN_FILENO, 1 << 20, "standard input");
    if (!given.ok() || (!given->empty() && !info.mutable_options()->ParseFromString(*given))) {
      std::fputs("standard input holds no options\n", stderr);
      return 1;
    }
  }
  info.mutable_features()->set_type_url(
      "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
  info.mutable_features()->set_value(DumpJson(Features()));
  return WriteAll(STDOUT_FILENO, info.SerializeAsString(), "standard output").ok() ? 0 : 1;
}

}  // namespace gantry::shim
