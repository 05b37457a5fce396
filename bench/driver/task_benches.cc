#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "bench/driver/benches.h"
#include "bench/driver/container.h"
#include "bench/driver/image.h"

namespace gantry::bench {
namespace {

absl::StatusOr<std::string> TopLayerOf(const Target& target, const std::string& image) {
  Client client(target);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<Layer> layers, LayersOf(client, image));
  if (layers.empty()) return absl::InvalidArgumentError(absl::StrCat(image, " has no layers"));
  return layers.back().chain_id;
}

// A FIFO that is read from; the other end is the container's standard output.
class OutputFifo {
 public:
  absl::Status Make(const std::string& path) {
    path_ = path;
    if (::mkfifo(path.c_str(), 0600) != 0) return ErrnoError(errno, "make a FIFO");
    GANTRY_ASSIGN_OR_RETURN(fd_, OpenFile(path, O_RDONLY | O_NONBLOCK));
    return absl::OkStatus();
  }
  absl::Status WaitForByte() {
    pollfd ready = {fd_.get(), POLLIN, 0};
    char bytes[64];  // all that there is: what stays unread would be waited for at the end
    if (::poll(&ready, 1, 10'000) == 1 && ::read(fd_.get(), bytes, sizeof bytes) > 0) {
      return absl::OkStatus();
    }
    return absl::DeadlineExceededError("no output came within ten seconds");
  }
  ~OutputFifo() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd fd_;
};

absl::Status RunOne(Client& client, const ContainerOptions& options, OutputFifo* output,
                    const std::string& id, Laps& laps, std::vector<BenchContainer>* made) {
  BenchContainer& container = made->emplace_back(client, id);
  GANTRY_RETURN_IF_ERROR(Annotate(container.Prepare(options), "prepare"));
  laps = Laps();
  GANTRY_RETURN_IF_ERROR(Annotate(container.Create().status(), "create"));
  laps.Lap("create");
  const int64_t start_sent = MonotonicNanos();
  GANTRY_RETURN_IF_ERROR(Annotate(container.Start(), "start"));
  laps.Lap("start");
  if (output != nullptr) {
    GANTRY_RETURN_IF_ERROR(output->WaitForByte());
    laps.Add("first byte", MonotonicNanos() - start_sent);
  }
  GANTRY_RETURN_IF_ERROR(Annotate(container.Wait(0), "wait"));
  laps.Lap("wait");
  GANTRY_RETURN_IF_ERROR(Annotate(container.Delete(), "delete"));
  laps.Lap("delete");
  laps.Finish();
  return absl::OkStatus();
}

// The container that execs run in.
class RunningContainer {
 public:
  RunningContainer(const Target& target, const std::string& id)
      : client_(target), container_(client_, id) {}
  absl::Status Start(const std::string& chain) {
    ContainerOptions options{.image_chain = chain, .args = {"/bin/sleep", "1000000"}};
    GANTRY_RETURN_IF_ERROR(container_.Prepare(options));
    GANTRY_RETURN_IF_ERROR(container_.Create().status());
    return container_.Start();
  }
  absl::Status Stop() {
    GANTRY_RETURN_IF_ERROR(container_.Kill());
    GANTRY_RETURN_IF_ERROR(container_.Wait(128 + 9));
    GANTRY_RETURN_IF_ERROR(container_.Delete());
    return container_.Remove();
  }

 private:
  Client client_;
  BenchContainer container_;
};

}  // namespace

absl::StatusOr<Json> BenchCalls(const Target& target, const LoadOptions& load) {
  return RunLoad(target, load, [](Client& client, int, Laps&) {
    return client
        .Call(*client.version, &api::version::v1::Version::Stub::Version, google::protobuf::Empty())
        .status();
  });
}

absl::StatusOr<Json> BenchStart(const Target& target, const LoadOptions& load,
                                const std::string& image, bool first_byte, bool network) {
  ContainerOptions options;
  options.network = network;
  GANTRY_ASSIGN_OR_RETURN(options.image_chain, TopLayerOf(target, image));
  GANTRY_ASSIGN_OR_RETURN(const TempDir directory, TempDir::Create("gantry-bench-"));
  if (first_byte) options.args = {"/bin/echo", "x"};
  return RunLoad(target, load, [&](Client& client, int run, Laps& laps) -> absl::Status {
    const std::string id = absl::StrCat("start-", ::getpid(), "-", run);
    std::optional<OutputFifo> output;
    OutputFifo errors;  // containerd's shim wants both or none
    ContainerOptions own = options;
    if (first_byte) {
      own.out = absl::StrCat(directory.path(), "/", id);
      own.err = own.out + ".err";
      GANTRY_RETURN_IF_ERROR(output.emplace().Make(own.out));
      GANTRY_RETURN_IF_ERROR(errors.Make(own.err));
    }
    std::vector<BenchContainer> made;
    const absl::Status status =
        RunOne(client, own, output.has_value() ? &*output : nullptr, id, laps, &made);
    if (!status.ok()) {
      // Best effort: the first error is the one to tell.
      made[0].Kill().IgnoreError();
      made[0].Wait(128 + 9).IgnoreError();
      made[0].Delete().IgnoreError();
    }
    const absl::Status removed = made[0].Remove();
    return status.ok() ? Annotate(removed, "remove") : status;
  });
}

absl::StatusOr<Json> BenchExec(const Target& target, const LoadOptions& load,
                               const std::string& image) {
  GANTRY_ASSIGN_OR_RETURN(const std::string chain, TopLayerOf(target, image));
  const std::string id = absl::StrCat("exec-", ::getpid());
  RunningContainer container(target, id);
  GANTRY_RETURN_IF_ERROR(container.Start(chain));
  absl::StatusOr<Json> json =
      RunLoad(target, load, [&](Client& client, int run, Laps& laps) -> absl::Status {
        BenchContainer same(client, id);
        const std::string exec_id = absl::StrCat("e", run);
        laps = Laps();
        GANTRY_RETURN_IF_ERROR(same.Exec(exec_id, {"/bin/true"}, ""));
        laps.Lap("exec");
        GANTRY_RETURN_IF_ERROR(same.Start(exec_id));
        laps.Lap("start");
        GANTRY_RETURN_IF_ERROR(same.Wait(0, exec_id));
        laps.Lap("wait");
        GANTRY_RETURN_IF_ERROR(same.DeleteExec(exec_id));
        laps.Lap("delete");
        return absl::OkStatus();
      });
  const absl::Status stopped = container.Stop();
  if (json.ok() && !stopped.ok()) return stopped;
  return json;
}

absl::StatusOr<Json> StartIdle(const Target& target, const LoadOptions& load,
                               const std::string& image, const std::string& prefix) {
  GANTRY_ASSIGN_OR_RETURN(const std::string chain, TopLayerOf(target, image));
  std::vector<uint32_t> pids(static_cast<size_t>(load.runs));
  GANTRY_ASSIGN_OR_RETURN(
      Json json, RunLoad(target, load, [&](Client& client, int run, Laps&) -> absl::Status {
        BenchContainer container(client, absl::StrCat(prefix, run));
        GANTRY_RETURN_IF_ERROR(
            container.Prepare({.image_chain = chain, .args = {"/bin/sleep", "1000000"}}));
        GANTRY_ASSIGN_OR_RETURN(pids[static_cast<size_t>(run)], container.Create());
        return container.Start();
      }));
  json["pids"] = pids;
  return json;
}

absl::StatusOr<Json> StopIdle(const Target& target, const LoadOptions& load,
                              const std::string& prefix) {
  return RunLoad(target, load, [&](Client& client, int run, Laps&) -> absl::Status {
    BenchContainer container(client, absl::StrCat(prefix, run));
    GANTRY_RETURN_IF_ERROR(container.Kill());
    GANTRY_RETURN_IF_ERROR(container.Wait(128 + 9));
    GANTRY_RETURN_IF_ERROR(container.Delete());
    return container.Remove();
  });
}

}  // namespace gantry::bench
