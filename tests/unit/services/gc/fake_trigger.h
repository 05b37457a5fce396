#ifndef GANTRY_TESTS_UNIT_SERVICES_GC_FAKE_TRIGGER_H_
#define GANTRY_TESTS_UNIT_SERVICES_GC_FAKE_TRIGGER_H_

#include <atomic>

#include "services/gc/gc.h"

namespace gantry::gc {

// Collects nothing, says how often it was asked and answers `outcome`.
class FakeTrigger final : public Trigger {
 public:
  void CollectThen(std::function<void(const absl::Status&)> done) override {
    ++asked;
    done(outcome);
  }

  std::atomic<int> asked{0};
  absl::Status outcome;
};

}  // namespace gantry::gc

#endif  // GANTRY_TESTS_UNIT_SERVICES_GC_FAKE_TRIGGER_H_
