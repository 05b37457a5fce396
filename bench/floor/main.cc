// floor --rootfs DIR --work DIR [--tmpfs DIR] [--runs N] [--no-net] [-- ARGV...]
// Prints, as JSON, the median microseconds of each step of a container that nothing but the kernel
// stands behind, and the percentiles of the whole.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/errors.h"
#include "bench/floor/floor.h"
#include "bench/stats/percentiles.h"

namespace gantry::bench {
namespace {

absl::StatusOr<Json> Measure(const FloorOptions& options, int runs) {
  Samples total;
  std::vector<std::pair<std::string, Samples>> steps;
  for (int i = 0; i < runs; ++i) {
    GANTRY_ASSIGN_OR_RETURN(const FloorRun run, RunFloor(options, i));
    int64_t sum = 0;
    for (size_t step = 0; step < run.size(); ++step) {
      if (steps.size() <= step) steps.emplace_back(run[step].first, Samples());
      steps[step].second.AddNanos(run[step].second);
      sum += run[step].second;
    }
    total.AddNanos(sum);
  }
  Json json = {{"network", options.network}, {"total", total.ToJson()}};
  for (const auto& [name, samples] : steps) {
    json["steps"].push_back({{"name", name}, {"median_us", samples.Percentile(50)}});
  }
  return json;
}

int Main(int argc, char** argv) {
  FloorOptions options;
  int runs = 20;
  bool no_network = false;
  CLI::App app("What the kernel alone needs for a container.", "floor");
  app.add_option("--rootfs", options.root_tree, "Directory with the image's files")->required();
  app.add_option("--work", options.work, "Directory for snapshots")->required();
  app.add_option("--tmpfs", options.tmpfs, "Directory for bundles; --work if not given");
  app.add_option("--runs", runs, "Containers, one after another")->capture_default_str();
  app.add_flag("--no-net", no_network, "In the network namespace of the caller");
  app.add_option("argv", options.argv, "What runs in the container")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.network = !no_network;
  if (options.tmpfs.empty()) options.tmpfs = options.work;
  const absl::StatusOr<Json> json = Measure(options, runs);
  if (!json.ok()) {
    std::fprintf(stderr, "floor: %s\n", std::string(json.status().message()).c_str());
    return 1;
  }
  std::puts(json->dump(2).c_str());
  return 0;
}

}  // namespace
}  // namespace gantry::bench

int main(int argc, char** argv) { return gantry::bench::Main(argc, argv); }
