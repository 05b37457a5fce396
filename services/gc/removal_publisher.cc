#include "services/gc/removal_publisher.h"

#include "absl/strings/strip.h"
#include "proto/containerd/events/snapshot.pb.h"
#include "proto/containerd/services/images/v1/image_events.pb.h"

namespace gantry::gc {

void PublishRemovals(const std::vector<Node>& removed, rpc::EventPublisher& events) {
  for (const Node& node : removed) {
    absl::string_view snapshotter = node.bucket;
    if (node.bucket == kImageBucket) {
      containerd::services::images::v1::ImageDelete event;
      event.set_name(node.name);
      events.Publish(node.ns, "/images/delete", event);
    } else if (absl::ConsumePrefix(&snapshotter, kSnapshotBuckets)) {
      containerd::events::SnapshotRemove event;
      event.set_key(node.name);
      event.set_snapshotter(std::string(snapshotter));
      events.Publish(node.ns, "/snapshot/remove", event);
    }
  }
}

}  // namespace gantry::gc
