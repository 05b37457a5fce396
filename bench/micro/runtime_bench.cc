// What stands between a request and a process: the specification, and a call to a shim.

#include <benchmark/benchmark.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <thread>

#include "base/event_loop.h"
#include "base/temp_dir.h"
#include "bench/driver/container.h"
#include "runtime/spec/spec.h"
#include "ttrpc/client.h"
#include "ttrpc/server.h"

namespace gantry {
namespace {

void SpecParse(benchmark::State& state) {
  const std::string text = DumpJson(bench::SpecOf(bench::Target{}, "id", {}));
  for (auto _ : state) benchmark::DoNotOptimize(runtime::ParseSpec(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(SpecParse)->Unit(benchmark::kMicrosecond);

UniqueFd Listen(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::listen(fd.get(), 16);
  return fd;
}

void TtrpcRoundTrip(benchmark::State& state) {
  const TempDir dir = *TempDir::Create("gantry-bench-");
  const std::string path = dir.path() + "/s";
  const std::unique_ptr<EventLoop> server_loop = *EventLoop::Create();
  const std::unique_ptr<EventLoop> client_loop = *EventLoop::Create();
  ttrpc::Server server(*server_loop);
  server.Register("Bench", "Echo",
                  [](ttrpc::Call call, const ttrpc::Reply& reply) { reply(call.payload); });
  if (!server.Serve(Listen(path)).ok()) return state.SkipWithError("cannot listen");
  std::thread server_thread([&] { server_loop->Run(); });
  std::thread client_thread([&] { client_loop->Run(); });
  {
    const std::shared_ptr<ttrpc::Client> client = *ttrpc::Client::Connect(*client_loop, path);
    const std::string payload(200, 'x');
    for (auto _ : state) {
      std::promise<bool> answered;
      client->CallMethod("Bench", "Echo", payload, {},
                         [&answered](const absl::StatusOr<std::string>& answer) {
                           answered.set_value(answer.ok());
                         });
      if (!answered.get_future().get()) state.SkipWithError("a call failed");
    }
  }
  client_loop->Stop();
  server_loop->Stop();
  client_thread.join();
  server_thread.join();
}
BENCHMARK(TtrpcRoundTrip)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace gantry
