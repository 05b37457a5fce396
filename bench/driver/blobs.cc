#include "bench/driver/blobs.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/digest.h"
#include "base/errors.h"

namespace gantry::bench {
namespace {

constexpr int64_t kBlock = 1 << 20;

}  // namespace

RandomBlob::RandomBlob(uint64_t seed, int64_t size) : size_(size) {
  block_.resize(static_cast<size_t>(std::min(size, kBlock)));
  std::mt19937_64 random(seed + 1);
  for (size_t at = 0; at < block_.size(); at += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(block_.data() + at, &word, std::min(sizeof word, block_.size() - at));
  }
  Digester digester = *Digester::Create();
  for (int64_t offset = 0; offset < size; offset += kBlock) digester.Update(Block(offset));
  digest_ = digester.Finish().text();
}

absl::string_view RandomBlob::Block(int64_t offset) {
  if (block_.size() >= sizeof offset) std::memcpy(block_.data(), &offset, sizeof offset);
  return absl::string_view(block_).substr(0, static_cast<size_t>(std::min(size_ - offset, kBlock)));
}

absl::Status WriteBlob(Client& client, RandomBlob& blob, const std::string& ref) {
  grpc::ClientContext context;
  client.Address(&context);
  const auto stream = client.content->Write(&context);
  api::content::v1::WriteContentRequest request;
  api::content::v1::WriteContentResponse response;
  request.set_action(api::content::v1::WRITE);
  request.set_ref(ref);
  request.set_total(blob.size());
  request.set_expected(blob.digest());
  for (int64_t offset = 0; offset < blob.size(); offset += kBlock) {
    const absl::string_view block = blob.Block(offset);
    request.set_offset(offset);
    request.set_data(block.data(), block.size());
    if (!stream->Write(request) || !stream->Read(&response)) break;
  }
  request.set_action(api::content::v1::COMMIT);
  request.set_offset(blob.size());
  request.clear_data();
  stream->Write(request);
  stream->WritesDone();
  // The status only comes when all messages have been read.
  while (stream->Read(&response)) {
  }
  const absl::Status status = Client::ToAbsl(stream->Finish());
  // The daemon has it from an earlier run.
  if (absl::IsAlreadyExists(status)) return absl::OkStatus();
  return Annotate(status, absl::StrCat("write ", blob.size(), " bytes"));
}

absl::StatusOr<int64_t> DrainBlob(Client& client, const std::string& digest) {
  grpc::ClientContext context;
  client.Address(&context);
  api::content::v1::ReadContentRequest request;
  request.set_digest(digest);
  const auto stream = client.content->Read(&context, request);
  api::content::v1::ReadContentResponse chunk;
  int64_t bytes = 0;
  while (stream->Read(&chunk)) bytes += static_cast<int64_t>(chunk.data().size());
  if (const grpc::Status status = stream->Finish(); !status.ok()) return Client::ToAbsl(status);
  return bytes;
}

}  // namespace gantry::bench
