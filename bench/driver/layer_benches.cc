// Loads on layers: unpacking an image, and comparing two snapshots.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "bench/driver/benches.h"
#include "bench/driver/blobs.h"
#include "bench/driver/image.h"

namespace gantry::bench {
namespace {

using Content = api::content::v1::Content::Stub;
using Diffs = api::diff::v1::Diff::Stub;
using Snapshots = api::snapshots::v1::Snapshots::Stub;
using Mounts = google::protobuf::RepeatedPtrField<::containerd::types::Mount>;

absl::StatusOr<Mounts> Prepare(Client& client, const std::string& key, const std::string& parent) {
  api::snapshots::v1::PrepareSnapshotRequest request;
  request.set_snapshotter(client.target.snapshotter);
  request.set_key(key);
  request.set_parent(parent);
  GANTRY_ASSIGN_OR_RETURN(const auto prepared,
                          client.Call(*client.snapshots, &Snapshots::Prepare, request));
  return prepared.mounts();
}

absl::StatusOr<Mounts> View(Client& client, const std::string& key, const std::string& parent) {
  api::snapshots::v1::ViewSnapshotRequest request;
  request.set_snapshotter(client.target.snapshotter);
  request.set_key(key);
  request.set_parent(parent);
  GANTRY_ASSIGN_OR_RETURN(const auto made,
                          client.Call(*client.snapshots, &Snapshots::View, request));
  return made.mounts();
}

absl::Status Remove(Client& client, const std::string& key) {
  api::snapshots::v1::RemoveSnapshotRequest request;
  request.set_snapshotter(client.target.snapshotter);
  request.set_key(key);
  return client.Call(*client.snapshots, &Snapshots::Remove, request).status();
}

absl::Status UnpackOne(Client& client, const Layer& layer, const std::string& key,
                       const std::string& parent, const std::string& name, Laps& laps) {
  GANTRY_ASSIGN_OR_RETURN(const Mounts mounts, Prepare(client, key, parent));
  laps.Lap("prepare");
  api::diff::v1::ApplyRequest apply;
  *apply.mutable_diff() = layer.descriptor;
  *apply.mutable_mounts() = mounts;
  GANTRY_ASSIGN_OR_RETURN(const auto applied, client.Call(*client.diff, &Diffs::Apply, apply));
  laps.Lap("apply");
  if (applied.applied().digest() != layer.diff_id) {
    return absl::DataLossError(
        absl::StrCat("applied ", applied.applied().digest(), " and not ", layer.diff_id));
  }
  api::snapshots::v1::CommitSnapshotRequest commit;
  commit.set_snapshotter(client.target.snapshotter);
  commit.set_key(key);
  commit.set_name(name);
  GANTRY_RETURN_IF_ERROR(client.Call(*client.snapshots, &Snapshots::Commit, commit).status());
  laps.Lap("commit");
  return absl::OkStatus();
}

// Writes `size` bytes in files of four mebibytes into the snapshot that `mounts` show, in a mount
// namespace of this process's own.
absl::Status FillSnapshot(const Mounts& mounts, int64_t size) {
  if (::unshare(CLONE_NEWNS) != 0) return ErrnoError(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoError(errno, "make all mounts private");
  }
  GANTRY_ASSIGN_OR_RETURN(const TempDir at, TempDir::Create("gantry-bench-"));
  for (const ::containerd::types::Mount& mount : mounts) {
    const bool bind = mount.type() == "bind";
    const std::string options = bind ? "" : absl::StrJoin(mount.options(), ",");
    if (::mount(mount.source().c_str(), at.path().c_str(), mount.type().c_str(),
                bind ? MS_BIND | MS_REC : 0, options.c_str()) != 0) {
      return ErrnoError(errno, absl::StrCat("mount ", mount.type(), " (", options, ")"));
    }
  }
  constexpr int64_t kFile = 4 << 20;
  absl::Status status = MakeDirectories(at.path() + "/added");
  for (int64_t done = 0; status.ok() && done < size; done += kFile) {
    RandomBlob blob(static_cast<uint64_t>(done), 1 << 20);
    std::string bytes;
    while (bytes.size() < kFile) bytes += std::string(blob.Block(0));
    status = WriteFileAtomic(absl::StrCat(at.path(), "/added/", done / kFile), bytes, 0644,
                             Durability::kNotDurable);
  }
  if (::umount2(at.path().c_str(), 0) != 0 && status.ok()) status = ErrnoError(errno, "unmount");
  return status;
}

}  // namespace

absl::StatusOr<Json> BenchUnpack(const Target& target, const LoadOptions& load,
                                 const std::string& image) {
  std::vector<Layer> layers;
  {
    Client client(target);
    GANTRY_ASSIGN_OR_RETURN(layers, LayersOf(client, image));
  }
  return RunLoad(target, load, [&](Client& client, int run, Laps& laps) -> absl::Status {
    std::vector<std::string> made;
    absl::Status status;
    laps = Laps();
    for (size_t i = 0; i < layers.size() && status.ok(); ++i) {
      const std::string name = absl::StrCat("bench-unpack-", run, "-", i);
      status = UnpackOne(client, layers[i], name + "-active", made.empty() ? "" : made.back(), name,
                         laps);
      if (status.ok()) {
        made.push_back(name);
      } else {
        Remove(client, name + "-active").IgnoreError();
      }
    }
    laps.Finish();
    for (; !made.empty(); made.pop_back()) {
      const absl::Status removed = Remove(client, made.back());
      if (status.ok()) status = removed;
    }
    return status;
  });
}

absl::StatusOr<Json> BenchCompare(const Target& target, const LoadOptions& load,
                                  const std::string& image, int64_t size) {
  Client client(target);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<Layer> layers, LayersOf(client, image));
  const std::string parent = layers.back().chain_id;
  GANTRY_ASSIGN_OR_RETURN(const Mounts lower, View(client, "bench-lower", parent));
  GANTRY_ASSIGN_OR_RETURN(const Mounts upper, Prepare(client, "bench-upper", parent));
  const absl::Status filled = FillSnapshot(upper, size);
  absl::StatusOr<Json> json = absl::UnknownError("not run");
  if (!filled.ok()) json = filled;
  if (filled.ok()) {
    json = RunLoad(target, load, [&](Client& own, int, Laps& laps) -> absl::Status {
      api::diff::v1::DiffRequest request;
      *request.mutable_left() = lower;
      *request.mutable_right() = upper;
      request.set_media_type("application/vnd.oci.image.layer.v1.tar+gzip");
      request.set_ref("bench-compare");
      GANTRY_ASSIGN_OR_RETURN(const auto compared, own.Call(*own.diff, &Diffs::Diff, request));
      laps.Finish();
      api::content::v1::DeleteContentRequest remove;
      remove.set_digest(compared.diff().digest());
      return own.Call(*own.content, &Content::Delete, remove).status();
    });
  }
  Remove(client, "bench-upper").IgnoreError();
  Remove(client, "bench-lower").IgnoreError();
  return json;
}

}  // namespace gantry::bench
