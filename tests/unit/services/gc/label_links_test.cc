#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "base/time.h"
#include "services/gc/gc.h"

namespace gantry::gc {
namespace {

Links LinksOf(const Labels& labels) {
  Links links;
  AddLabelLinks("ns", labels, absl::Now(), &links);
  return links;
}

TEST(LabelLinksTest, EachReferenceNamesABucketARecordAndTheNamespaceOfItsOwn) {
  const Links links = LinksOf({{"containerd.io/gc.ref.content.l.0", "sha256:1"},
                               {"containerd.io/gc.ref.image/x", "name"},
                               {"containerd.io/gc.ref.snapshot.overlayfs/x/y", "key/z"}});
  const std::vector<Node> expected = {{kContentBucket, "ns", "sha256:1"},
                                      {kImageBucket, "ns", "name"},
                                      {"snapshots/overlayfs", "ns", "key/z"}};
  EXPECT_EQ(links.labelled, expected);
  EXPECT_TRUE(links.owners.empty() && links.held.empty());
  EXPECT_FALSE(links.root);
}

TEST(LabelLinksTest, WhatIsOnlyLikeAReferenceIsPassedOver) {
  const Links links = LinksOf({{"containerd.io/gc.ref.", "a"},
                               {"containerd.io/gc.ref.contents", "a"},
                               {"containerd.io/gc.ref.container", "a"},
                               {"containerd.io/gc.ref.snapshot", "a"},
                               {"containerd.io/gc.ref.snapshot.", "a"},
                               {"containerd.io/gc.ref.snapshot./x", "a"},
                               {"containerd.io/gc.refs.content", "a"},
                               {"containerd.io/gc", "a"},
                               {"containerd.io/gc.flat", "a"},
                               {"containerd.io/gc.expires", "2999-01-01T00:00:00Z"},
                               {"containerd.io/other.ref.content", "a"},
                               {"gc.ref.content", "a"}});
  EXPECT_TRUE(links.labelled.empty() && links.owners.empty());
  EXPECT_FALSE(links.root);
}

TEST(LabelLinksTest, AnExpiryIsARootUntilThenAndNoneIfItCannotBeRead) {
  const absl::Time now = absl::Now();
  const auto root_at = [&](const std::string& text) {
    Links links;
    AddLabelLinks("ns", {{"containerd.io/gc.expire", text}}, now, &links);
    return links.root;
  };
  EXPECT_TRUE(root_at(FormatRfc3339(now + absl::Seconds(1))));
  EXPECT_FALSE(root_at(FormatRfc3339(now - absl::Seconds(1))));
  EXPECT_FALSE(root_at("tomorrow"));
  EXPECT_FALSE(IsExpired({{"containerd.io/gc.expire", "tomorrow"}}, now));
  EXPECT_FALSE(IsExpired({}, now));
  EXPECT_TRUE(IsExpired({{"containerd.io/gc.expire", "2000-01-01T00:00:00+02:00"}}, now));
}

}  // namespace
}  // namespace gantry::gc
