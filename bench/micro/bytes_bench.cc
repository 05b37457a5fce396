// Digests and entries of a tar.

#include <benchmark/benchmark.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "services/diff/byte_sink.h"
#include "services/diff/tar_writer.h"

namespace gantry {
namespace {

void DigestOfAMebibyte(benchmark::State& state) {
  const std::string bytes(1 << 20, 'x');
  for (auto _ : state) benchmark::DoNotOptimize(Sha256(bytes));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * (1 << 20));
}
BENCHMARK(DigestOfAMebibyte)->Unit(benchmark::kMicrosecond);

void DigestParse(benchmark::State& state) {
  const std::string text = "sha256:" + std::string(64, 'a');
  for (auto _ : state) benchmark::DoNotOptimize(Digest::Parse(text));
}
BENCHMARK(DigestParse);

// A file of 4 KB as a layer has thousands.
void TarEntry(benchmark::State& state) {
  size_t written = 0;
  diff::TarWriter tar([&written](absl::string_view bytes) {
    written += bytes.size();
    return absl::OkStatus();
  });
  diff::Entry entry;
  entry.name = "usr/share/doc/some-package/changelog.Debian.gz";
  entry.mode = S_IFREG | 0644;
  const std::string data(4096, 'x');
  for (auto _ : state) {
    if (!tar.Header(entry, 4096).ok() || !tar.Data(data).ok() || !tar.EndData().ok()) {
      return state.SkipWithError("cannot write an entry");
    }
  }
  benchmark::DoNotOptimize(written);
}
BENCHMARK(TarEntry);

}  // namespace
}  // namespace gantry
