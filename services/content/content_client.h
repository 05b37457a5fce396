#ifndef GANTRY_SERVICES_CONTENT_CONTENT_CLIENT_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_CLIENT_H_

#include <memory>
#include <string>

#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "services/content/content.h"
#include "services/rpc/remote.h"

namespace gantry::content {

// Content that another process serves, for the services of this one that read and make blobs.
// Thread-safe; calls block on the other process.
//
// A blob is copied into an unnamed file in `spool_directory` when it is opened, since readers want
// a descriptor that they can seek in, and is verified on the way.
class ContentClient final : public ContentProvider {
 public:
  ContentClient(std::shared_ptr<grpc::Channel> channel, std::string spool_directory);

  // Errors beside ContentProvider's: Unavailable if the other process is not there; DataLoss if
  // what it sends is not what the digest says.
  absl::StatusOr<std::unique_ptr<BlobReader>> Open(const std::string& ns,
                                                   const Digest& digest) override;
  absl::StatusOr<std::unique_ptr<BlobMaker>> Make(const Scope& scope,
                                                  const std::string& ref) override;

  // Ends the calls under way and refuses those to come.
  void CancelAll() { calls_.CancelAll(); }

 private:
  class Upload;

  const std::unique_ptr<containerd::services::content::v1::Content::Stub> stub_;
  const std::string spool_directory_;
  rpc::RemoteCalls calls_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_CLIENT_H_
