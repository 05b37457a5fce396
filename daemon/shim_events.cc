#include "daemon/shim_events.h"

#include "base/errors.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/services/events/ttrpc/v1/events.pb.h"
#include "services/events/envelope_convert.h"
#include "services/rpc/convert.h"

namespace gantry::daemon {
namespace {

template <typename Message>
absl::StatusOr<Message> Decode(const events::Envelope& envelope) {
  Message message;
  if (!message.ParseFromString(envelope.event.value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("event of topic ", envelope.topic, " is no ", envelope.event.type_url));
  }
  return message;
}

// Whether the event is still to be published.
absl::StatusOr<bool> TellTasks(const events::Envelope& envelope, tasks::TaskManager& tasks) {
  const std::string& type = envelope.event.type_url;
  if (TypeUrlIs(type, "containerd.events.TaskExit")) {
    GANTRY_ASSIGN_OR_RETURN(const auto exit, Decode<containerd::events::TaskExit>(envelope));
    return tasks.HandleExit({.ns = envelope.ns,
                             .container_id = exit.container_id(),
                             .exec_id = exit.id() == exit.container_id() ? "" : exit.id(),
                             .exit = {.pid = exit.pid(),
                                      .status = exit.exit_status(),
                                      .at = rpc::ToTime(exit.exited_at())}});
  }
  if (TypeUrlIs(type, "containerd.events.TaskStart")) {
    GANTRY_ASSIGN_OR_RETURN(const auto start, Decode<containerd::events::TaskStart>(envelope));
    tasks.HandleStart(envelope.ns, start.container_id(), "", start.pid());
  } else if (TypeUrlIs(type, "containerd.events.TaskExecStarted")) {
    GANTRY_ASSIGN_OR_RETURN(const auto start,
                            Decode<containerd::events::TaskExecStarted>(envelope));
    tasks.HandleStart(envelope.ns, start.container_id(), start.exec_id(), start.pid());
  } else if (TypeUrlIs(type, "containerd.events.TaskPaused")) {
    GANTRY_ASSIGN_OR_RETURN(const auto paused, Decode<containerd::events::TaskPaused>(envelope));
    tasks.HandlePaused(envelope.ns, paused.container_id(), true);
  } else if (TypeUrlIs(type, "containerd.events.TaskResumed")) {
    GANTRY_ASSIGN_OR_RETURN(const auto resumed, Decode<containerd::events::TaskResumed>(envelope));
    tasks.HandlePaused(envelope.ns, resumed.container_id(), false);
  }
  return true;
}

}  // namespace

absl::Status ForwardShimEvent(absl::string_view payload, tasks::TaskManager& tasks,
                              events::EventBus& bus) {
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      !request.has_envelope()) {
    return absl::InvalidArgumentError("Forward: the request holds no envelope");
  }
  events::Envelope envelope = events::FromProto(request.envelope());
  GANTRY_ASSIGN_OR_RETURN(const bool publish, TellTasks(envelope, tasks));
  return publish ? bus.Publish(std::move(envelope)) : absl::OkStatus();
}

}  // namespace gantry::daemon
