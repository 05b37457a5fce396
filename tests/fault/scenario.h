#ifndef GANTRY_TESTS_FAULT_SCENARIO_H_
#define GANTRY_TESTS_FAULT_SCENARIO_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "proto/containerd/services/images/v1/images.grpc.pb.h"
#include "proto/containerd/services/leases/v1/leases.grpc.pb.h"
#include "proto/containerd/services/snapshots/v1/snapshots.grpc.pb.h"
#include "tests/fault/unpacking.h"
#include "tests/support/daemon_process.h"

namespace gantry::test {

// What a client does to gantryd to import two images and delete one, step by step; and what it was
// told, so that a gantryd that was killed meanwhile can be held to it. In the namespace "fault".
class Scenario {
 public:
  struct Step {
    std::string name;
    std::function<absl::Status()> run;
  };

  explicit Scenario(const DaemonProcess& daemon) { Connect(daemon); }
  // Again after a restart.
  void Connect(const DaemonProcess& daemon);

  // In order. A step that has been done may be done again.
  std::vector<Step> Steps();

  // The step of that name.
  absl::Status Run(const std::string& name);

  // Uploads a blob that the lease holds; without `commit` half of it.
  absl::Status Write(const std::string& data, const std::map<std::string, std::string>& labels,
                     bool commit = true);
  [[nodiscard]] Unpacking& unpacking() { return unpacking_; }
  // Waits until removed snapshots have given their space back.
  absl::Status CleanUp();

  // Whether all that was acknowledged is there and whole, and nothing is half there. What is wrong,
  // a sentence each.
  std::vector<std::string> Problems();
  // How many acknowledged things Problems looks for.
  [[nodiscard]] size_t acknowledged() const { return acknowledged_.size(); }

  // Deletes everything, waits for a collection, and tells what is left of it below `root`.
  std::vector<std::string> Remains(const std::string& root);

 private:
  enum class Kind { kBlob, kImage, kLease, kSnapshot, kNoImage, kNoLease };

  // Runs `call`, and writes down that `kind` `name` holds if it succeeds.
  absl::Status Note(const absl::Status& status, Kind kind, const std::string& name);
  void Forget(Kind kind, const std::string& name);
  absl::Status AbandonAndAbort();
  absl::Status Unpack(const std::string& name, const std::string& parent);
  absl::Status MakeAndRemoveSnapshot();
  absl::Status MakeImage(const std::string& name, const std::string& manifest);
  absl::Status DeleteImage(const std::string& name);
  absl::Status MakeLease();
  absl::Status DeleteLease();
  std::string ReadBlob(const std::string& digest, absl::Status* status);
  void CheckListed(std::vector<std::string>* problems);

  std::unique_ptr<containerd::services::content::v1::Content::Stub> content_;
  std::unique_ptr<containerd::services::images::v1::Images::Stub> images_;
  std::unique_ptr<containerd::services::leases::v1::Leases::Stub> leases_;
  std::unique_ptr<containerd::services::snapshots::v1::Snapshots::Stub> snapshots_;
  Unpacking unpacking_;
  std::map<std::pair<Kind, std::string>, bool> acknowledged_;
};

}  // namespace gantry::test

#endif  // GANTRY_TESTS_FAULT_SCENARIO_H_
