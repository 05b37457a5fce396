#include "services/content/read_reactor.h"

#include <grpc/slice.h>
#include <unistd.h>

#include <algorithm>

#include "base/errors.h"
#include "base/wire.h"
#include "services/rpc/raw.h"
#include "services/rpc/status.h"

namespace gantry::content {
namespace {

namespace api = containerd::services::content::v1;

constexpr uint64_t kChunk = 1 << 20;

// What comes before the bytes of `data` in a ReadContentResponse; data is its last field.
grpc::Slice ResponseHead(uint64_t offset, uint64_t length) {
  constexpr char kDataTag = (api::ReadContentResponse::kDataFieldNumber << 3) | 2;
  WireWriter head;
  head.Uint(api::ReadContentResponse::kOffsetFieldNumber, offset);
  std::string bytes = head.Take();
  bytes.push_back(kDataTag);
  for (; length >= 0x80; length >>= 7) bytes.push_back(static_cast<char>(length | 0x80));
  bytes.push_back(static_cast<char>(length));
  return grpc::Slice(bytes);
}

}  // namespace

ReadReactor::ReadReactor(grpc::CallbackServerContext* context, Executor& executor,
                         ContentProvider& content, const grpc::ByteBuffer& request,
                         rpc::Caller caller)
    : executor_(executor), content_(content) {
  executor_.Run([this, context, request, caller] {
    const absl::StatusOr<rpc::RequestContext> rpc = rpc::ContextOf(*context, caller);
    const absl::Status status = rpc.ok() ? Open(request, rpc->ns) : rpc.status();
    if (status.ok()) {
      SendNext();
    } else {
      Finish(rpc::ToGrpc(status));
    }
  });
}

absl::Status ReadReactor::Open(grpc::ByteBuffer bytes, const std::string& ns) {
  GANTRY_ASSIGN_OR_RETURN(const auto request,
                          rpc::Parse<api::ReadContentRequest>(std::move(bytes)));
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
  if (offset_ == end_) return Finish(grpc::Status::OK);
  if (absl::Status status = Fill(); !status.ok()) return Finish(rpc::ToGrpc(status));
  if (offset_ < end_) return StartWrite(&response_);
  // The status goes out with the last chunk: for a manifest that is one message instead of two.
  StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
}

absl::Status ReadReactor::Fill() {
  const size_t wanted = std::min(kChunk, end_ - offset_);
  grpc_slice raw = grpc_slice_malloc(wanted);
  ssize_t got;
  do {
    got = ::pread(blob_->fd(), GRPC_SLICE_START_PTR(raw), wanted, static_cast<off_t>(offset_));
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  // Only now: a short slice holds its bytes in itself, so that a copy made before would miss them.
  const grpc::Slice chunk(raw, grpc::Slice::STEAL_REF);
  if (got < 0) return ErrnoError(error, absl::StrCat("read content ", digest_));
  if (got == 0)
    return absl::DataLossError(absl::StrCat("content ", digest_, " ended early on disk"));
  const auto length = static_cast<uint64_t>(got);
  const grpc::Slice parts[2] = {ResponseHead(offset_, length), chunk.sub(0, length)};
  response_ = grpc::ByteBuffer(parts, 2);
  offset_ += length;
  return absl::OkStatus();
}

void ReadReactor::OnWriteDone(bool ok) {
  if (!ok) {
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
    return;
  }
  executor_.Run([this] { SendNext(); });
}

}  // namespace gantry::content
