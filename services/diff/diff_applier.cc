#include "services/diff/diff_applier.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "services/diff/layer_writer.h"
#include "services/diff/tar_reader.h"

namespace gantry::diff {

absl::StatusOr<Applied> ApplyLayer(int fd, uint64_t size_bytes, const std::vector<Mount>& mounts,
                                   const LayerLimits& limits) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd root, OpenMountedTree(mounts));
  GANTRY_RETURN_IF_ERROR(FaultPoint("diff.apply.mounted"));
  GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<LayerStream> stream,
                          LayerStream::Start(fd, size_bytes, limits));
  TarReader tar(*stream);
  LayerWriter writer(root.get(), limits.max_bytes);
  const DataSource data = [&](const auto& sink) { return tar.Data(sink); };
  Entry entry;
  for (int64_t entries = 1;; ++entries) {
    GANTRY_ASSIGN_OR_RETURN(const bool more, tar.Next(&entry));
    if (!more) break;
    if (limits.max_entries > 0 && entries > limits.max_entries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("layer entry ", QuotedName(entry.name), ": more than the ",
                       limits.max_entries, " entries that a layer may have (max_layer_entries)"));
    }
    GANTRY_RETURN_IF_ERROR(writer.Add(entry, data));
  }
  GANTRY_RETURN_IF_ERROR(writer.Finish());
  GANTRY_RETURN_IF_ERROR(FaultPoint("diff.apply.finish"));
  GANTRY_ASSIGN_OR_RETURN(const Applied applied, stream->Finish());
  GANTRY_RETURN_IF_ERROR(FaultPoint("diff.apply.digested"));
  return applied;
}

}  // namespace gantry::diff
