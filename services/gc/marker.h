#ifndef GANTRY_SERVICES_GC_MARKER_H_
#define GANTRY_SERVICES_GC_MARKER_H_

#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "services/gc/gc.h"

namespace gantry::gc {

// Finds what is alive. First from the roots of one snapshot of the store (Mark); then, as records
// are written while the collection goes on, from those (MarkWritten).
//
// Why nothing alive is missed: take a record c that is reachable now, by some path from a root. If
// no record on that path has been put since the snapshot, the path was there then and c is marked.
// Otherwise take the last record p on it that has: behind p the path is as it was in the snapshot,
// p itself is traced as it is now, so c is marked once MarkWritten has been given p. What is
// deleted only shortens paths, and time only ends them (`now` is that of the snapshot). So in a
// write transaction that first marks all that was put so far, whatever is not marked is garbage.
//
// Not thread-safe.
class Marker {
 public:
  // `kinds` outlive this.
  Marker(std::span<Collectible* const> kinds, absl::Time now);

  absl::Status Mark(const metadata::Reader& reader);
  absl::Status MarkWritten(const metadata::Reader& reader,
                           const std::vector<metadata::RecordName>& written);
  [[nodiscard]] bool IsMarked(const Node& node) const;
  [[nodiscard]] size_t marked() const { return marked_; }

  // The records without a mark, each before those that it holds: a child before its parent.
  struct Candidate {
    Collectible* kind;
    Node node;
  };
  absl::StatusOr<std::vector<Candidate>> Unmarked(const metadata::Reader& reader) const;

 private:
  [[nodiscard]] Collectible* KindOf(const std::string& bucket) const;
  // A node as one word of the sets; its flat mark is apart.
  [[nodiscard]] std::string WordOf(const Node& node) const;
  void Push(const Node& node);
  // Marks what the pushed nodes lead to.
  absl::Status Drain(const metadata::Reader& reader);
  absl::Status Trace(const metadata::Reader& reader, const Node& node);

  const absl::Time now_;
  std::map<std::string, Collectible*> kinds_;
  std::map<std::string, char> letters_;  // a short name for each bucket
  enum class Depth : char { kFlat = 1, kWhole = 2 };
  std::unordered_map<std::string, Depth> marks_;
  size_t marked_ = 0;
  std::unordered_map<std::string, std::vector<Node>> owned_;  // by owner
  std::vector<Node> gray_;
};

}  // namespace gantry::gc

#endif  // GANTRY_SERVICES_GC_MARKER_H_
