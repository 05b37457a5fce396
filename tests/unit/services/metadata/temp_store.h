#ifndef GANTRY_TESTS_UNIT_SERVICES_METADATA_TEMP_STORE_H_
#define GANTRY_TESTS_UNIT_SERVICES_METADATA_TEMP_STORE_H_

#include <memory>
#include <utility>

#include "base/temp_dir.h"
#include "services/metadata/store.h"

namespace gantry::metadata {

// A store in a directory of its own, for the tests of what keeps records in one.
class TempStore {
 public:
  TempStore() { Reopen(); }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  // As after a restart of the daemon. Whoever refers to the old store must be made anew.
  void Reopen() {
    store_.reset();
    store_ = *Store::Open(dir_.path(), {size_t{64} << 20});
  }

 private:
  TempDir dir_ = *TempDir::Create("gantry-records-test-");
  std::unique_ptr<Store> store_;
};

}  // namespace gantry::metadata

#endif  // GANTRY_TESTS_UNIT_SERVICES_METADATA_TEMP_STORE_H_
