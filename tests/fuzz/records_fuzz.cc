#include "services/content/blob_record.h"
#include "services/content/ingest_record.h"
#include "services/images/image_record.h"
#include "services/metadata/namespaces.h"
#include "services/snapshots/snapshot_record.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

// What has been read once and written again reads as the same.
template <typename Record>
void RequireStable(const absl::StatusOr<Record>& first,
                   const std::function<absl::StatusOr<Record>(const std::string&)>& decode) {
  if (!first.ok()) {
    gantry::fuzz::Require(absl::IsDataLoss(first.status()));
    return;
  }
  const std::string bytes = Encode(*first);
  const absl::StatusOr<Record> second = decode(bytes);
  gantry::fuzz::Require(second.ok() && Encode(*second) == bytes);
}

}  // namespace

// The value of a record of each kind, as a damaged store may hold it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  const absl::string_view bytes = fuzz::Text(data, size);
  const std::string digest = Sha256("x").text();
  RequireStable<content::BlobInfo>(
      content::DecodeBlob(digest, bytes),
      [&](const std::string& text) { return content::DecodeBlob(digest, text); });
  RequireStable<content::IngestStatus>(
      content::DecodeIngest("ref", bytes),
      [](const std::string& text) { return content::DecodeIngest("ref", text); });
  RequireStable<snapshots::Record>(snapshots::Decode("name", bytes), [](const std::string& text) {
    return snapshots::Decode("name", text);
  });
  RequireStable<images::Image>(images::Decode("name", bytes), [](const std::string& text) {
    return images::Decode("name", text);
  });
  const absl::StatusOr<Labels> ns = metadata::DecodeNamespace("ns", bytes);
  if (ns.ok()) {
    fuzz::Require(*metadata::DecodeNamespace("ns", metadata::EncodeNamespace(*ns)) == *ns);
  }
  return 0;
}
