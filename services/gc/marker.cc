#include "services/gc/marker.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::gc {

Marker::Marker(std::span<Collectible* const> kinds, absl::Time now) : now_(now) {
  for (Collectible* kind : kinds) {
    kinds_[kind->bucket()] = kind;
    letters_[kind->bucket()] = static_cast<char>('a' + letters_.size());
  }
}

Collectible* Marker::KindOf(const std::string& bucket) const {
  const auto found = kinds_.find(bucket);
  return found == kinds_.end() ? nullptr : found->second;
}

std::string Marker::WordOf(const Node& node) const {
  // A namespace holds no slash, so the first one ends it.
  return absl::StrCat(absl::string_view(&letters_.at(node.bucket), 1), node.ns, "/", node.name);
}

void Marker::Push(const Node& node) {
  // What refers to a bucket that nobody collects refers to nothing.
  if (KindOf(node.bucket) == nullptr) return;
  const Depth wanted = node.flat ? Depth::kFlat : Depth::kWhole;
  const auto [found, added] = marks_.try_emplace(WordOf(node), wanted);
  if (!added && found->second >= wanted) return;
  found->second = wanted;
  gray_.push_back(node);
}

absl::Status Marker::Trace(const metadata::Reader& reader, const Node& node) {
  const Collectible* kind = KindOf(node.bucket);
  // A label may hold any text; one that cannot be a name names nothing.
  const absl::StatusOr<std::optional<std::string>> bytes =
      reader.Get(node.bucket, node.ns, node.name);
  if (absl::IsInvalidArgument(bytes.status())) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(bytes.status());
  if (!node.flat) {
    // Even where the owner has no record: something holds it, and it may come yet.
    if (const auto owned = owned_.find(WordOf(node)); owned != owned_.end()) {
      for (const Node& child : owned->second) Push(child);
    }
  }
  if (!bytes->has_value()) return absl::OkStatus();
  ++marked_;
  GANTRY_ASSIGN_OR_RETURN(const Links links, kind->LinksOf(reader, node, **bytes, now_));
  for (Node held : links.held) {
    held.flat = held.flat || node.flat;
    Push(held);
  }
  if (node.flat) return absl::OkStatus();
  for (const Node& labelled : links.labelled) Push(labelled);
  return absl::OkStatus();
}

absl::Status Marker::Drain(const metadata::Reader& reader) {
  while (!gray_.empty()) {
    const Node node = std::move(gray_.back());
    gray_.pop_back();
    GANTRY_RETURN_IF_ERROR(Trace(reader, node));
  }
  return absl::OkStatus();
}

absl::Status Marker::Mark(const metadata::Reader& reader) {
  std::vector<Node> roots;
  for (const auto& [bucket, kind] : kinds_) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces, reader.Namespaces(bucket));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(reader.ForEach(
          bucket, ns,
          [&, &bucket = bucket, &kind = kind](absl::string_view name,
                                              absl::string_view bytes) -> absl::Status {
            Node node = {.bucket = bucket, .ns = ns, .name = std::string(name)};
            GANTRY_ASSIGN_OR_RETURN(const Links links, kind->LinksOf(reader, node, bytes, now_));
            for (const Node& owner : links.owners) {
              if (KindOf(owner.bucket) != nullptr) owned_[WordOf(owner)].push_back(node);
            }
            if (links.root) roots.push_back(std::move(node));
            return absl::OkStatus();
          }));
    }
  }
  // Only now: a record may be owned by one that comes before it.
  for (const Node& root : roots) Push(root);
  return Drain(reader);
}

absl::Status Marker::MarkWritten(const metadata::Reader& reader,
                                 const std::vector<metadata::RecordName>& written) {
  // A lease that was given a thousand things is looked at once.
  std::set<std::string> seen;
  for (const metadata::RecordName& record : written) {
    for (const auto& [bucket, kind] : kinds_) {
      const std::optional<Node> node = kind->Affected(record);
      if (!node.has_value() || !seen.insert(WordOf(*node)).second) continue;
      // Even if it is marked: what it refers to may be new.
      marks_[WordOf(*node)] = Depth::kWhole;
      gray_.push_back(*node);
    }
  }
  return Drain(reader);
}

bool Marker::IsMarked(const Node& node) const { return marks_.count(WordOf(node)) != 0; }

absl::StatusOr<std::vector<Marker::Candidate>> Marker::Unmarked(
    const metadata::Reader& reader) const {
  struct Found {
    Candidate candidate;
    std::vector<std::string> held;
    bool seen = false;
  };
  std::vector<Found> found;
  std::unordered_map<std::string, size_t> places;
  for (const auto& [bucket, kind] : kinds_) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces, reader.Namespaces(bucket));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(reader.ForEach(
          bucket, ns,
          [&, &bucket = bucket, &kind = kind](absl::string_view name,
                                              absl::string_view bytes) -> absl::Status {
            Node node = {.bucket = bucket, .ns = ns, .name = std::string(name)};
            std::string word = WordOf(node);
            if (marks_.count(word) != 0) return absl::OkStatus();
            Found unmarked = {.candidate = {kind, node}};
            GANTRY_ASSIGN_OR_RETURN(const Links links, kind->LinksOf(reader, node, bytes, now_));
            for (const Node& held : links.held) {
              if (KindOf(held.bucket) != nullptr) unmarked.held.push_back(WordOf(held));
            }
            places.emplace(std::move(word), found.size());
            found.push_back(std::move(unmarked));
            return absl::OkStatus();
          }));
    }
  }
  // Depth first, what is held before what holds it; then the other way round. Without recursion: a
  // chain of snapshots may be long.
  std::vector<Candidate> ordered;
  ordered.reserve(found.size());
  std::vector<std::pair<size_t, size_t>> path;  // a candidate and which of its held comes next
  for (size_t start = 0; start < found.size(); ++start) {
    if (std::exchange(found[start].seen, true)) continue;
    path.emplace_back(start, 0);
    while (!path.empty()) {
      const size_t place = path.back().first;
      const std::vector<std::string>& held = found[place].held;
      if (path.back().second == held.size()) {
        ordered.push_back(std::move(found[place].candidate));
        path.pop_back();
        continue;
      }
      const auto next = places.find(held[path.back().second++]);
      if (next != places.end() && !std::exchange(found[next->second].seen, true)) {
        path.emplace_back(next->second, 0);
      }
    }
  }
  std::reverse(ordered.begin(), ordered.end());
  return ordered;
}

}  // namespace gantry::gc
