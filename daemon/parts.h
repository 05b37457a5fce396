#ifndef GANTRY_DAEMON_PARTS_H_
#define GANTRY_DAEMON_PARTS_H_

#include "base/executor.h"
#include "daemon/config.h"
#include "services/gc/gc.h"
#include "services/metadata/store.h"
#include "services/rpc/context.h"
#include "services/rpc/event_publisher.h"

namespace gantry::daemon {

// What every part of the daemon is given. All of it outlives the parts.
struct Shared {
  const Config& config;
  metadata::Store& store;
  rpc::EventPublisher& publisher;
  gc::Trigger& collector;
  // For short calls that block.
  Executor& disk;
  // For the unpacking of layers, which takes seconds and must not keep short calls waiting.
  Executor& layers;

  // A daemon without namespaces of its own is the store of one that has them.
  [[nodiscard]] rpc::Caller Callers() const {
    return config.services.Has(Service::kNamespaces) ? rpc::Caller::kClient : rpc::Caller::kDaemon;
  }
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_PARTS_H_
