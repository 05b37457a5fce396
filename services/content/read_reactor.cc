#include "services/content/read_reactor.h"

#include <unistd.h>

#include <algorithm>

#include "base/errors.h"
#include "services/rpc/context.h"
#include "services/rpc/status.h"

namespace gantry::content {
namespace {

constexpr uint64_t kChunk = 1 << 20;

}  // namespace

ReadReactor::ReadReactor(grpc::CallbackServerContext* context, Executor& executor,
                         ContentProvider& content,
                         const containerd::services::content::v1::ReadContentRequest* request)
    : executor_(executor), content_(content) {
  executor_.Run([this, context, request] {
    const absl::StatusOr<rpc::RequestContext> rpc = rpc::ContextOf(*context);
    const absl::Status status = rpc.ok() ? Open(*request, rpc->ns) : rpc.status();
    if (status.ok()) {
      SendNext();
    } else {
      Finish(rpc::ToGrpc(status));
    }
  });
}

absl::Status ReadReactor::Open(const containerd::services::content::v1::ReadContentRequest& request,
                               const std::string& ns) {
  GANTRY_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(request.digest()));
  if (request.offset() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("offset ", request.offset(), " is negative: invalid argument"));
  }
  if (request.size() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("size ", request.size(), " is negative: invalid argument"));
  }
  digest_ = digest.text();
  GANTRY_ASSIGN_OR_RETURN(blob_, content_.Open(ns, digest));
  offset_ = static_cast<uint64_t>(request.offset());
  const uint64_t size = static_cast<uint64_t>(request.size());
  if (offset_ > blob_->size()) {
    return absl::OutOfRangeError(absl::StrCat("read past object length ", blob_->size(),
                                              " bytes (offset ", offset_, "): out of range"));
  }
  // A client may ask for more than there is: it need not know the size.
  const uint64_t rest = blob_->size() - offset_;
  end_ = offset_ + (size == 0 ? rest : std::min(size, rest));
  return absl::OkStatus();
}

void ReadReactor::SendNext() {
  if (offset_ == end_) {
    Finish(grpc::Status::OK);
    return;
  }
  std::string* const data = response_.mutable_data();
  data->resize(std::min(kChunk, end_ - offset_));
  ssize_t got;
  do {
    got = ::pread(blob_->fd(), data->data(), data->size(), static_cast<off_t>(offset_));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    const absl::Status status =
        got == 0 ? absl::DataLossError(absl::StrCat("content ", digest_, " ended early on disk"))
                 : ErrnoError(errno, absl::StrCat("read content ", digest_));
    Finish(rpc::ToGrpc(status));
    return;
  }
  data->resize(static_cast<size_t>(got));
  response_.set_offset(static_cast<int64_t>(offset_));
  offset_ += static_cast<uint64_t>(got);
  StartWrite(&response_);
}

void ReadReactor::OnWriteDone(bool ok) {
  if (!ok) {
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
    return;
  }
  executor_.Run([this] { SendNext(); });
}

}  // namespace gantry::content
