#include "bench/driver/load.h"

#include <time.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace gantry::bench {

int64_t MonotonicNanos() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Laps::Lap(const std::string& name) {
  const int64_t now = MonotonicNanos();
  laps_[name].AddNanos(now - last_);
  last_ = now;
}

void Laps::Finish() {
  if (laps_["total"].size() == 0) laps_["total"].AddNanos(MonotonicNanos() - start_);
}

absl::StatusOr<Json> RunLoad(
    const Target& target, const LoadOptions& options,
    const std::function<absl::Status(Client& client, int run, Laps& laps)>& operation) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.connections; ++i) {
    clients.push_back(std::make_unique<Client>(target));
    // So that no run pays for the connection.
    const auto version =
        clients.back()->Call(*clients.back()->version, &api::version::v1::Version::Stub::Version,
                             google::protobuf::Empty());
    if (!version.ok()) return version.status();
  }
  std::atomic<int> next{0};
  std::mutex mutex;
  absl::Status failure;
  std::map<std::string, Samples> merged;
  const int64_t start = MonotonicNanos();
  std::vector<std::thread> threads;
  for (const std::unique_ptr<Client>& client : clients) {
    threads.emplace_back([&, &client = *client] {
      for (;;) {
        const int run = next.fetch_add(1);
        if (run >= options.runs) return;
        Laps laps;
        const absl::Status status = operation(client, run, laps);
        if (status.ok()) laps.Finish();
        const std::lock_guard lock(mutex);
        if (!status.ok()) {
          if (failure.ok()) failure = status;
          next = options.runs;
          return;
        }
        for (const auto& [name, samples] : laps.laps()) merged[name].Merge(samples);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = static_cast<double>(MonotonicNanos() - start) / 1e9;
  if (!failure.ok()) return failure;
  Json json = {{"connections", options.connections},
               {"runs", options.runs},
               {"wall_ms", seconds * 1000},
               {"per_second", options.runs / seconds}};
  for (const auto& [name, samples] : merged) json["laps"][name] = samples.ToJson();
  return json;
}

}  // namespace gantry::bench
