#include "services/metrics/container_families.h"

namespace gantry::metrics {
namespace {

Labels LabelsOf(const tasks::ContainerStats& container, Labels more) {
  Labels labels = {{"container_id", container.id}, {"namespace", container.ns}};
  if (!container.runtime.empty()) labels.push_back({"runtime", container.runtime});
  for (auto& label : more) labels.push_back(std::move(label));
  return labels;
}

template <typename Stats>
void Write(const std::vector<tasks::ContainerStats>& containers, runtime::CgroupVersion version,
           Stats runtime::CgroupStats::*stats, const std::vector<ContainerFamily<Stats>>& families,
           const FamilySink& sink) {
  for (const ContainerFamily<Stats>& family : families) {
    FamilyBuilder builder(family.name, family.help, family.type);
    for (const tasks::ContainerStats& container : containers) {
      if (container.stats.version != version) continue;
      family.read(container.stats.*stats, [&](double value, Labels labels) {
        builder.Add(value, LabelsOf(container, std::move(labels)));
      });
    }
    std::move(builder).WriteTo(sink);
  }
}

}  // namespace

void WriteContainerFamilies(const std::vector<tasks::ContainerStats>& containers,
                            const FamilySink& sink) {
  // A host has one version for all its containers, so no family is told twice.
  Write(containers, runtime::CgroupVersion::kV1, &runtime::CgroupStats::v1, FamiliesV1(), sink);
  Write(containers, runtime::CgroupVersion::kV2, &runtime::CgroupStats::v2, FamiliesV2(), sink);
}

}  // namespace gantry::metrics
