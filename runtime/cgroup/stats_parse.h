#ifndef GANTRY_RUNTIME_CGROUP_STATS_PARSE_H_
#define GANTRY_RUNTIME_CGROUP_STATS_PARSE_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/directory.h"
#include "runtime/cgroup/stats.h"

namespace gantry::runtime {

// What the readers of both versions share.

// "key number" lines; others are left out.
std::map<std::string, uint64_t> ParsePairs(absl::string_view text);

// 0 for a file that this kernel does not have.
uint64_t NumberOr0(const CgroupDir& dir, const std::string& file);

// "mlx4_0 hca_handle=2 hca_object=max" lines of rdma.current and rdma.max.
std::vector<RdmaEntry> ParseRdma(absl::string_view text);
RdmaStats ReadRdmaStats(const CgroupDir& dir);

// "2MB", "1GB": the page sizes that the directory has files hugetlb.<size>.* for.
absl::StatusOr<std::vector<std::string>> HugepageSizes(const CgroupDir& dir);

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same with "full".
PsiStats ParsePsi(absl::string_view text);

// Paths of block devices by number, each looked up once.
class BlockDeviceNames {
 public:
  // "/dev/vda", or empty if there is no such device.
  const std::string& Name(uint64_t major, uint64_t minor);

 private:
  std::map<std::pair<uint64_t, uint64_t>, std::string> names_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_STATS_PARSE_H_
