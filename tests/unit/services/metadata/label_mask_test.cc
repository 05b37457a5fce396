#include "services/metadata/label_mask.h"

#include <gtest/gtest.h>

namespace gantry::metadata {
namespace {

TEST(LabelMaskTest, OneLabelIsSetAndTheOthersStay) {
  Labels labels = {{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE(ApplyLabelPath("labels.a", {{"a", "9"}, {"b", "8"}}, &labels));
  EXPECT_EQ(labels, (Labels{{"a", "9"}, {"b", "2"}}));
}

TEST(LabelMaskTest, AnEmptyOrAbsentValueRemovesTheLabel) {
  Labels labels = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  EXPECT_TRUE(ApplyLabelPath("labels.a", {{"a", ""}}, &labels));
  EXPECT_TRUE(ApplyLabelPath("labels.b", {}, &labels));
  EXPECT_EQ(labels, (Labels{{"c", "3"}}));
}

TEST(LabelMaskTest, AKeyMayHoldDots) {
  Labels labels;
  EXPECT_TRUE(
      ApplyLabelPath("labels.containerd.io/gc.root", {{"containerd.io/gc.root", "x"}}, &labels));
  EXPECT_EQ(labels, (Labels{{"containerd.io/gc.root", "x"}}));
}

TEST(LabelMaskTest, AllLabelsAreReplaced) {
  Labels labels = {{"a", "1"}};
  EXPECT_TRUE(ApplyLabelPath("labels", {{"b", "2"}}, &labels));
  EXPECT_EQ(labels, (Labels{{"b", "2"}}));
}

TEST(LabelMaskTest, OtherPathsAreLeftToTheCaller) {
  Labels labels = {{"a", "1"}};
  for (const char* path : {"spec", "label", "labelsx", "", "Labels.a"}) {
    EXPECT_FALSE(ApplyLabelPath(path, {}, &labels)) << path;
  }
  EXPECT_EQ(labels, (Labels{{"a", "1"}}));
}

}  // namespace
}  // namespace gantry::metadata
