#ifndef GANTRY_SERVICES_DIFF_LAYER_LIMITS_H_
#define GANTRY_SERVICES_DIFF_LAYER_LIMITS_H_

#include <cstdint>

namespace gantry::diff {

// What a layer may be at most, so that a small hostile one cannot fill the disk or the memory. 0 is
// no limit.
struct LayerLimits {
  // Of the inflated layer, and of any one file in it, holes included.
  int64_t max_bytes = int64_t{256} << 30;
  // Inflated bytes to compressed ones. Layers that inflate to less than kRatioFloor may have any:
  // a gigabyte of zeros is a thousandfold in honest images too.
  int64_t max_ratio = 200;
  int64_t max_entries = 2'000'000;

  static constexpr int64_t kRatioFloor = int64_t{1} << 30;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_LAYER_LIMITS_H_
