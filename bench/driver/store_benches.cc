// Loads on what is stored: snapshots, content, images.

#include <fcntl.h>
#include <sys/random.h>

#include "base/digest.h"
#include "base/errors.h"
#include "bench/driver/benches.h"
#include "bench/driver/blobs.h"
#include "bench/driver/image.h"

namespace gantry::bench {
namespace {

using Images = api::images::v1::Images::Stub;
using Leases = api::leases::v1::Leases::Stub;
using Snapshots = api::snapshots::v1::Snapshots::Stub;
using Content = api::content::v1::Content::Stub;

absl::Status PrepareSnapshot(Client& client, const std::string& key, const std::string& parent) {
  api::snapshots::v1::PrepareSnapshotRequest request;
  request.set_snapshotter(client.target.snapshotter);
  request.set_key(key);
  request.set_parent(parent);
  // Else a collection that runs meanwhile takes what nothing refers to.
  (*request.mutable_labels())["containerd.io/gc.root"] = "bench";
  return client.Call(*client.snapshots, &Snapshots::Prepare, request).status();
}

absl::Status RemoveSnapshot(Client& client, const std::string& key) {
  api::snapshots::v1::RemoveSnapshotRequest request;
  request.set_snapshotter(client.target.snapshotter);
  request.set_key(key);
  return client.Call(*client.snapshots, &Snapshots::Remove, request).status();
}

absl::Status DeleteBlob(Client& client, const std::string& digest) {
  api::content::v1::DeleteContentRequest request;
  request.set_digest(digest);
  return client.Call(*client.content, &Content::Delete, request).status();
}

std::string ImageName(int number) { return absl::StrCat("bench.example/image-", number, ":1"); }

api::images::v1::CreateImageRequest ImageRecord(int number) {
  api::images::v1::CreateImageRequest request;
  request.mutable_image()->set_name(ImageName(number));
  (*request.mutable_image()->mutable_labels())["bench"] = std::to_string(number % 10);
  auto* const descriptor = request.mutable_image()->mutable_target();
  descriptor->set_media_type("application/vnd.oci.image.manifest.v1+json");
  descriptor->set_digest(Sha256(std::to_string(number)).text());
  descriptor->set_size(1000 + number);
  return request;
}

absl::StatusOr<size_t> CountBlobs(Client& client) {
  grpc::ClientContext context;
  client.Address(&context);
  const auto stream = client.content->List(&context, api::content::v1::ListContentRequest());
  api::content::v1::ListContentResponse part;
  size_t count = 0;
  while (stream->Read(&part)) count += static_cast<size_t>(part.info_size());
  const grpc::Status status = stream->Finish();
  if (!status.ok()) return Client::ToAbsl(status);
  return count;
}

}  // namespace

absl::StatusOr<Json> BenchSnapshots(const Target& target, const LoadOptions& load,
                                    const std::string& image, int existing) {
  Client client(target);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<Layer> layers, LayersOf(client, image));
  const std::string parent = layers.back().chain_id;
  for (int i = 0; i < existing; ++i) {
    GANTRY_RETURN_IF_ERROR(PrepareSnapshot(client, absl::StrCat("existing-", i), parent));
  }
  absl::StatusOr<Json> json =
      RunLoad(target, load, [&](Client& own, int run, Laps& laps) -> absl::Status {
        const std::string key = absl::StrCat("snapshot-", run);
        GANTRY_RETURN_IF_ERROR(PrepareSnapshot(own, key, parent));
        laps.Lap("prepare");
        api::snapshots::v1::MountsRequest request;
        request.set_snapshotter(target.snapshotter);
        request.set_key(key);
        GANTRY_RETURN_IF_ERROR(own.Call(*own.snapshots, &Snapshots::Mounts, request).status());
        laps.Lap("mounts");
        GANTRY_RETURN_IF_ERROR(RemoveSnapshot(own, key));
        laps.Lap("remove");
        return absl::OkStatus();
      });
  for (int i = 0; i < existing; ++i) {
    GANTRY_RETURN_IF_ERROR(RemoveSnapshot(client, absl::StrCat("existing-", i)));
  }
  return json;
}

absl::StatusOr<Json> BenchContent(const Target& target, const LoadOptions& load, int64_t size) {
  std::vector<std::string> digests(static_cast<size_t>(load.runs));
  GANTRY_ASSIGN_OR_RETURN(const Json written,
                          RunLoad(target, load, [&](Client& client, int run, Laps& laps) {
                            RandomBlob blob(static_cast<uint64_t>(run), size);
                            digests[static_cast<size_t>(run)] = blob.digest();
                            laps = Laps();  // making the bytes is not the daemon's time
                            return WriteBlob(client, blob, absl::StrCat("bench-", run));
                          }));
  GANTRY_ASSIGN_OR_RETURN(
      const Json read, RunLoad(target, load, [&](Client& client, int run, Laps&) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(const int64_t bytes,
                                DrainBlob(client, digests[static_cast<size_t>(run)]));
        if (bytes == size) return absl::OkStatus();
        return absl::DataLossError(absl::StrCat("read ", bytes, " bytes of ", size));
      }));
  Client client(target);
  for (const std::string& digest : digests) GANTRY_RETURN_IF_ERROR(DeleteBlob(client, digest));
  return Json{{"write", written}, {"read", read}, {"bytes", size * load.runs}};
}

absl::StatusOr<Json> BenchImages(const Target& target, const LoadOptions& load) {
  GANTRY_ASSIGN_OR_RETURN(
      const Json create, RunLoad(target, load, [](Client& client, int run, Laps&) {
        return client.Call(*client.images, &Images::Create, ImageRecord(run)).status();
      }));
  const auto list = [&](const std::string& filter, int expected) {
    return RunLoad(target, {.connections = 1, .runs = 10},
                   [&](Client& client, int, Laps&) -> absl::Status {
                     api::images::v1::ListImagesRequest request;
                     if (!filter.empty()) request.add_filters(filter);
                     GANTRY_ASSIGN_OR_RETURN(const auto listed,
                                             client.Call(*client.images, &Images::List, request));
                     if (listed.images_size() >= expected) return absl::OkStatus();
                     return absl::DataLossError(
                         absl::StrCat("listed ", listed.images_size(), " images of ", expected));
                   });
  };
  GANTRY_ASSIGN_OR_RETURN(const Json all, list("", load.runs));
  GANTRY_ASSIGN_OR_RETURN(const Json some, list("labels.bench==7", load.runs / 10));
  GANTRY_RETURN_IF_ERROR(RunLoad(target, load, [](Client& client, int run, Laps&) {
                           api::images::v1::DeleteImageRequest request;
                           request.set_name(ImageName(run));
                           return client.Call(*client.images, &Images::Delete, request).status();
                         }).status());
  return Json{{"create", create}, {"list", all}, {"list filtered", some}};
}

absl::StatusOr<Json> BenchCollect(const Target& target, const LoadOptions& load) {
  Client client(target);
  Target leased = target;
  leased.lease = "bench-collect";
  api::leases::v1::CreateRequest lease;
  lease.set_id(leased.lease);
  GANTRY_RETURN_IF_ERROR(client.Call(*client.leases, &Leases::Create, lease).status());
  GANTRY_ASSIGN_OR_RETURN(const size_t before, CountBlobs(client));
  constexpr int64_t kSize = 4096;
  std::vector<std::string> digests(static_cast<size_t>(load.runs));
  GANTRY_RETURN_IF_ERROR(RunLoad(leased, load, [&](Client& own, int run, Laps&) {
                           RandomBlob blob(static_cast<uint64_t>(run) + 1'000'000, kSize);
                           digests[static_cast<size_t>(run)] = blob.digest();
                           return WriteBlob(own, blob, absl::StrCat("collect-", run));
                         }).status());
  const int64_t start = MonotonicNanos();
  api::leases::v1::DeleteRequest request;
  request.set_id(lease.id());
  request.set_sync(true);
  const absl::Status deleted = client.Call(*client.leases, &Leases::Delete, request).status();
  const double millis = static_cast<double>(MonotonicNanos() - start) / 1e6;
  GANTRY_ASSIGN_OR_RETURN(const size_t after, CountBlobs(client));
  if (deleted.ok() && after <= before) {
    return Json{{"wall_ms", millis}, {"per_second", load.runs / millis * 1000}};
  }
  // Nothing is collected here, or not all: put back what was.
  if (!deleted.ok()) {
    request.set_sync(false);
    client.Call(*client.leases, &Leases::Delete, request).status().IgnoreError();
  }
  for (const std::string& digest : digests) DeleteBlob(client, digest).IgnoreError();
  if (!deleted.ok() && !absl::IsUnimplemented(deleted)) return deleted;
  return Json{{"skipped", deleted.ok() ? absl::StrCat("kept ", after - before, " of ", load.runs,
                                                      " blobs that nothing refers to")
                                       : std::string(deleted.message())}};
}

}  // namespace gantry::bench
