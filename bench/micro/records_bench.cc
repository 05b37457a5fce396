// The metadata store and its filters.

#include <benchmark/benchmark.h>

#include "base/temp_dir.h"
#include "services/metadata/filter.h"
#include "services/metadata/store.h"

namespace gantry::metadata {
namespace {

void FilterMatch(benchmark::State& state) {
  const FilterSet set =
      *FilterSet::Parse({R"(labels."io.kubernetes.pod.name"==web-7,name~=^registry\..*$)"});
  const Adaptor adaptor = [](std::span<const std::string> path) -> std::optional<std::string> {
    if (path[0] == "name") return "registry.example/app:1";
    if (path[0] == "labels") return path[1] == "io.kubernetes.pod.name" ? "web-7" : "";
    return std::nullopt;
  };
  for (auto _ : state) benchmark::DoNotOptimize(set.Match(adaptor));
}
BENCHMARK(FilterMatch);

void FilterParse(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(FilterSet::Parse({R"(labels."a b"==c,name~=/x.*/,kind!=view)"}));
  }
}
BENCHMARK(FilterParse);

// A store with `count` records.
class Filled {
 public:
  explicit Filled(int count)
      : dir_(*TempDir::Create("gantry-bench-")), store_(*Store::Open(dir_.path() + "/meta")) {
    (void)store_->Update([count](Writer& writer) {
      absl::Status status;
      for (int i = 0; i < count && status.ok(); ++i) {
        status = writer.Put("images", "default", std::to_string(i), std::string(300, 'x'));
      }
      return status;
    });
  }
  Store& store() { return *store_; }

 private:
  const TempDir dir_;
  const std::unique_ptr<Store> store_;
};

void StoreGet(benchmark::State& state) {
  Filled filled(10'000);
  for (auto _ : state) {
    benchmark::DoNotOptimize(filled.store().View(
        [](const Reader& reader) { return reader.Get("images", "default", "5000").status(); }));
  }
}
BENCHMARK(StoreGet);

void StoreListTenThousand(benchmark::State& state) {
  Filled filled(10'000);
  for (auto _ : state) {
    size_t bytes = 0;
    (void)filled.store().View([&bytes](const Reader& reader) {
      return reader.ForEach("images", "default",
                            [&bytes](absl::string_view, absl::string_view value) {
                              bytes += value.size();
                              return absl::OkStatus();
                            });
    });
    benchmark::DoNotOptimize(bytes);
  }
}
BENCHMARK(StoreListTenThousand)->Unit(benchmark::kMicrosecond);

// Durable: as fast as the disk syncs.
void StoreCommit(benchmark::State& state) {
  Filled filled(100);
  int number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(filled.store().Update([&number](Writer& writer) {
      return writer.Put("images", "default", std::to_string(++number % 100), std::string(300, 'y'));
    }));
  }
}
BENCHMARK(StoreCommit)->Unit(benchmark::kMicrosecond)->UseRealTime();

// Writers that wait together share a commit.
void StoreCommitOfMany(benchmark::State& state) {
  static Filled* filled = nullptr;  // for all threads: they meet before the loop and after it
  if (state.thread_index() == 0) filled = new Filled(100);
  int number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(filled->store().Update([&](Writer& writer) {
      return writer.Put("images", "default",
                        absl::StrCat(state.thread_index(), "-", ++number % 100),
                        std::string(300, 'y'));
    }));
  }
  // All threads meet at the end of the loop.
  if (state.thread_index() == 0) delete std::exchange(filled, nullptr);
}
BENCHMARK(StoreCommitOfMany)->Threads(16)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace gantry::metadata
