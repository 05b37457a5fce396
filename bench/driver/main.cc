// driver --address SOCK [options] LOAD: makes one load on a daemon that speaks containerd's API,
// and prints its figures as JSON.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/synchronization/mutex.h"
#include "bench/driver/benches.h"

namespace gantry::bench {
namespace {

struct Flags {
  Target target;
  LoadOptions load;
  std::string image;
  std::string prefix = "idle-";
  bool first_byte = false;
  bool no_network = false;
  int existing = 10;
  int64_t size = 4096;
};

using Run = absl::StatusOr<Json> (*)(const Flags&);

struct Load {
  const char* name;
  const char* help;
  Run run;
  bool needs_image;
};

constexpr Load kLoads[] = {
    {"calls", "calls of Version", [](const Flags& f) { return BenchCalls(f.target, f.load); },
     false},
    {"start", "create, start, wait, delete",
     [](const Flags& f) {
       return BenchStart(f.target, f.load, f.image, f.first_byte, !f.no_network);
     },
     true},
    {"exec", "exec, start, wait, delete in one container",
     [](const Flags& f) { return BenchExec(f.target, f.load, f.image); }, true},
    {"up", "start --runs containers that idle",
     [](const Flags& f) { return StartIdle(f.target, f.load, f.image, f.prefix); }, true},
    {"down", "end and remove what `up` started",
     [](const Flags& f) { return StopIdle(f.target, f.load, f.prefix); }, false},
    {"snapshots", "prepare, mounts, remove beside --existing others",
     [](const Flags& f) { return BenchSnapshots(f.target, f.load, f.image, f.existing); }, true},
    {"content", "write and read --runs blobs of --size bytes",
     [](const Flags& f) { return BenchContent(f.target, f.load, f.size); }, false},
    {"images", "create, list and delete --runs image records",
     [](const Flags& f) { return BenchImages(f.target, f.load); }, false},
    {"events", "publish and receive --runs events",
     [](const Flags& f) { return BenchEvents(f.target, f.load); }, false},
    {"collect", "garbage collection of --runs blobs",
     [](const Flags& f) { return BenchCollect(f.target, f.load); }, false},
    {"unpack", "apply and commit all layers of --image",
     [](const Flags& f) { return BenchUnpack(f.target, f.load, f.image); }, true},
    {"compare", "compare a snapshot of --size bytes more with its parent",
     [](const Flags& f) { return BenchCompare(f.target, f.load, f.image, f.size); }, true}};

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Loads on a daemon that speaks containerd's API.", "driver");
  app.add_option("--address", flags.target.address, "Path of the API's unix socket")->required();
  app.add_option("--namespace", flags.target.ns, "Namespace")->capture_default_str();
  app.add_option("--runtime", flags.target.runtime, "Runtime name")->capture_default_str();
  app.add_option("--snapshotter", flags.target.snapshotter, "Snapshotter")->capture_default_str();
  app.add_option("--connections", flags.load.connections, "Connections, each with one call at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--runs", flags.load.runs, "Operations over all connections")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  app.add_option("--image", flags.image, "An image that was imported and unpacked");
  app.add_option("--prefix", flags.prefix, "Of the names of idle containers")
      ->capture_default_str();
  app.add_flag("--first-byte", flags.first_byte, "Containers print, and the first byte is timed");
  app.add_flag("--no-net", flags.no_network, "Containers share the host's network");
  app.add_option("--existing", flags.existing, "Other snapshots")->capture_default_str();
  app.add_option("--size", flags.size, "Bytes of a blob or of a comparison")->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();
  for (const Load& load : kLoads) app.add_subcommand(load.name, load.help);
  CLI11_PARSE(app, argc, argv);
  for (const Load& load : kLoads) {
    if (!app.got_subcommand(load.name)) continue;
    if (load.needs_image && flags.image.empty()) {
      std::fprintf(stderr, "driver: %s needs --image\n", load.name);
      return 2;
    }
    absl::StatusOr<std::unique_ptr<Lease>> lease = Lease::Create(flags.target);
    if (!lease.ok()) {
      std::fprintf(stderr, "driver: create a lease: %s\n", lease.status().ToString().c_str());
      return 1;
    }
    flags.target = (*lease)->target();
    const absl::StatusOr<Json> json = load.run(flags);
    if (json.ok()) {
      std::puts(json->dump(2).c_str());
      return 0;
    }
    std::fprintf(stderr, "driver: %s: %s\n", load.name, json.status().ToString().c_str());
    return 1;
  }
  return 2;
}

}  // namespace
}  // namespace gantry::bench

int main(int argc, char** argv) {
  // As gantryd does; else the load is a good part of what is measured, for each contestant.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return gantry::bench::Main(argc, argv);
}
