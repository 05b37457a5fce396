#include "services/introspection/plugin_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::introspection {
namespace {

using testing::ElementsAre;

PluginRegistry Two() {
  PluginRegistry registry;
  registry.Add({.type = "io.containerd.snapshotter.v1",
                .id = "overlayfs",
                .platforms = {{"linux", "amd64"}},
                .capabilities = {"remap-ids"}});
  registry.Add({.type = "io.containerd.content.v1", .id = "content"});
  return registry;
}

std::vector<std::string> Ids(const PluginRegistry& registry,
                             const std::vector<std::string>& filters) {
  const auto plugins = registry.List(filters);
  EXPECT_TRUE(plugins.ok()) << plugins.status();
  std::vector<std::string> ids;
  for (const Plugin& plugin : *plugins) ids.push_back(plugin.id);
  return ids;
}

TEST(PluginRegistryTest, WithoutAFilterAllAreListedInTheirOrder) {
  EXPECT_THAT(Ids(Two(), {}), ElementsAre("overlayfs", "content"));
}

TEST(PluginRegistryTest, TypeAndIdSelectAsTheGoClientAsks) {
  EXPECT_THAT(Ids(Two(), {"type==io.containerd.snapshotter.v1, id==overlayfs"}),
              ElementsAre("overlayfs"));
  EXPECT_THAT(Ids(Two(), {"id==content"}), ElementsAre("content"));
  EXPECT_THAT(Ids(Two(), {"id==none"}), ElementsAre());
}

TEST(PluginRegistryTest, PlatformsAndCapabilitiesSelect) {
  EXPECT_THAT(Ids(Two(), {"platforms~=amd64"}), ElementsAre("overlayfs"));
  EXPECT_THAT(Ids(Two(), {R"(capabilities."remap-ids")"}), ElementsAre("overlayfs"));
}

TEST(PluginRegistryTest, ABadFilterIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(Two().List({"=="}).status()));
}

TEST(PluginRegistryTest, AMissingPluginIsNotFoundByName) {
  const auto missing = Two().Get("io.containerd.content.v1", "overlayfs");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()),
              testing::HasSubstr("io.containerd.content.v1.overlayfs"));
}

TEST(UuidTest, TheUuidIsMadeOnceAndKept) {
  auto root = TempDir::Create("uuid");
  ASSERT_TRUE(root.ok());
  const auto first = LoadOrCreateUuid(root->path());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->size(), 36u);
  EXPECT_EQ(*LoadOrCreateUuid(root->path()), *first);
}

TEST(UuidTest, ABrokenUuidFileIsNotOverwritten) {
  auto root = TempDir::Create("uuid");
  ASSERT_TRUE(root.ok());
  ASSERT_TRUE(WriteFileAtomic(root->path() + "/uuid", "junk", 0644, Durability::kNotDurable).ok());
  EXPECT_EQ(LoadOrCreateUuid(root->path()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace gantry::introspection
