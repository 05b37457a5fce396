#ifndef GANTRY_DAEMON_SHIM_EVENTS_H_
#define GANTRY_DAEMON_SHIM_EVENTS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/events/event_bus.h"
#include "services/tasks/task_manager.h"

namespace gantry::daemon {

// Takes one containerd.services.events.ttrpc.v1.Events/Forward request (`payload`) of a shim: the
// task manager hears of it first, so that an exit is on record before a subscriber learns of it,
// then the bus. Errors: InvalidArgument for what is no envelope.
absl::Status ForwardShimEvent(absl::string_view payload, tasks::TaskManager& tasks,
                              events::EventBus& bus);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_SHIM_EVENTS_H_
