#ifndef GANTRY_SHIM_SET_TIME_H_
#define GANTRY_SHIM_SET_TIME_H_

#include "absl/time/time.h"
#include "base/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace gantry::shim {

inline void SetTime(absl::Time time, google::protobuf::Timestamp* to) {
  const WallTime wall = ToWallTime(time);
  to->set_seconds(wall.seconds);
  to->set_nanos(wall.nanos);
}

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_SET_TIME_H_
