#include "daemon/daemon.h"

#include <unistd.h>

#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/event_loop.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/grpc_listener.h"
#include "daemon/metrics_part.h"
#include "daemon/root_lock.h"
#include "daemon/services.h"
#include "daemon/sockets.h"
#include "runtime/zygote/zygote_client.h"
#include "ttrpc/server.h"

namespace gantry::daemon {
namespace {

constexpr int kDiskThreads = 16;
constexpr int kLayerThreads = 4;
// How long unary calls may take to end once the daemon was told to stop.
constexpr absl::Duration kDrainPatience = absl::Seconds(2);

// The thread that all ttrpc connections share.
class LoopThread {
 public:
  explicit LoopThread(EventLoop& loop) : loop_(loop), thread_([&loop] { loop.Run(); }) {}
  ~LoopThread() { Stop(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  void Stop() {
    if (!thread_.joinable()) return;
    loop_.Stop();
    thread_.join();
  }

 private:
  EventLoop& loop_;
  std::thread thread_;
};

absl::Status SetOomScore(int64_t score) {
  if (score == 0) return absl::OkStatus();
  return Annotate(WriteExisting("/proc/self/oom_score_adj", absl::StrCat(score)), "oom_score");
}

void WarnOfWhatIsMissing(const Config& config) {
  if (!config.debug.address.empty()) {
    LogWarn("debug.address is ignored: there is no debug server",
            {{"address", config.debug.address}});
  }
}

}  // namespace

// In the order in which they start; what is destroyed goes the other way.
struct Daemon::Parts {
  explicit Parts(RootLock taken) : lock(std::move(taken)) {}

  Config config;
  RootLock lock;
  std::unique_ptr<runtime::ZygoteClient> zygote;  // null if no tasks are served
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<MetricsPart> metrics;  // null if they are not served
  // The services' callbacks run on the loop and the pools: Stop ends those before the services go.
  std::unique_ptr<Services> services;
  std::unique_ptr<ttrpc::Server> ttrpc;
  std::unique_ptr<Executor> disk;
  std::unique_ptr<Executor> layers;
  std::unique_ptr<LoopThread> loop_thread;
  std::unique_ptr<GrpcListener> grpc;

  absl::Status Start();
  absl::Status ServeTtrpc();
  absl::Status ServeMetrics();
  void Stop();
};

absl::Status Daemon::Parts::Start() {
  GANTRY_RETURN_IF_ERROR(SetOomScore(config.oom_score));
  WarnOfWhatIsMissing(config);
  GANTRY_RETURN_IF_ERROR(MakeDirectories(config.state, 0711));
  // First, since it needs no clean-up if the address is taken.
  if (!config.metrics_address.empty()) {
    GANTRY_ASSIGN_OR_RETURN(metrics, MetricsPart::Listen(config));
  }
  const bool tasks = config.services.Has(Service::kTasks);
  if (tasks) {
    GANTRY_ASSIGN_OR_RETURN(const std::string shim, FindShim(config.shim));
    GANTRY_ASSIGN_OR_RETURN(zygote, runtime::ZygoteClient::Start(shim));
  }
  GANTRY_ASSIGN_OR_RETURN(loop, EventLoop::Create());
  disk = std::make_unique<Executor>(kDiskThreads);
  layers = std::make_unique<Executor>(kLayerThreads);
  GANTRY_ASSIGN_OR_RETURN(
      services, Services::Open(config, *loop, {.disk = *disk, .layers = *layers}, zygote.get(),
                               metrics == nullptr ? nullptr : &metrics->gc()));
  // Before shims can send anything, tasks must be known; before clients can call, shims heard.
  loop_thread = std::make_unique<LoopThread>(*loop);
  GANTRY_RETURN_IF_ERROR(services->Restore());
  if (tasks) GANTRY_RETURN_IF_ERROR(ServeTtrpc());
  GANTRY_ASSIGN_OR_RETURN(grpc,
                          GrpcListener::Start(config, services->grpc(),
                                              metrics == nullptr ? nullptr : &metrics->grpc()));
  return metrics == nullptr ? absl::OkStatus() : ServeMetrics();
}

absl::Status Daemon::Parts::ServeMetrics() {
  // The endpoint belongs to the loop's thread.
  std::promise<absl::Status> served;
  loop->Post([&] { served.set_value(metrics->Serve(*loop, *disk, *services)); });
  return served.get_future().get();
}

absl::Status Daemon::Parts::ServeTtrpc() {
  GANTRY_ASSIGN_OR_RETURN(UniqueFd listener, ListenUnix({.address = config.TtrpcAddress(),
                                                         .uid = config.ttrpc.uid,
                                                         .gid = config.ttrpc.gid}));
  ttrpc = std::make_unique<ttrpc::Server>(*loop);
  ttrpc->Register(
      "containerd.services.events.ttrpc.v1.Events", "Forward",
      [this](const ttrpc::Call& call, const ttrpc::Reply& reply) {
        const absl::Status forwarded = services->ForwardShimEvent(call.payload);
        if (forwarded.ok()) {
          reply(std::string());  // google.protobuf.Empty
        } else {
          LogWarn("an event of a shim was refused", {{"error", std::string(forwarded.message())}});
          reply(forwarded);
        }
      });
  // The server belongs to the loop's thread from here on.
  loop->Post([this, fd = std::make_shared<UniqueFd>(std::move(listener))] {
    const absl::Status serving = ttrpc->Serve(std::move(*fd));
    if (!serving.ok()) LogError("serve ttrpc", {{"error", std::string(serving.message())}});
  });
  return absl::OkStatus();
}

void Daemon::Parts::Stop() {
  if (services != nullptr) services->EndStreams();
  if (grpc != nullptr) grpc->Stop(kDrainPatience);
  grpc.reset();
  if (loop_thread != nullptr) {
    loop_thread->Stop();
    if (ttrpc != nullptr) ::unlink(config.TtrpcAddress().c_str());
  }
  loop_thread.reset();
  disk.reset();
  layers.reset();
  ttrpc.reset();
  if (metrics != nullptr) metrics->EndServing();
  services.reset();
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() { Stop(); }

void Daemon::Stop() { parts_->Stop(); }

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Config& config) {
  GANTRY_ASSIGN_OR_RETURN(RootLock lock, RootLock::Take(config.root));
  auto parts = std::make_unique<Parts>(std::move(lock));
  parts->config = config;
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(parts)));
  GANTRY_RETURN_IF_ERROR(daemon->parts_->Start());
  return daemon;
}

}  // namespace gantry::daemon
