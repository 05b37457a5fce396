// A gantryd that serves some of the services, in a process of its own.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "proto/containerd/services/images/v1/images.grpc.pb.h"
#include "proto/containerd/services/introspection/v1/introspection.grpc.pb.h"
#include "proto/containerd/services/transfer/v1/transfer.grpc.pb.h"
#include "tests/support/daemon_process.h"

namespace gantry::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

namespace pb = containerd::services;

class ServicesAloneTest : public testing::Test {
 protected:
  void Start(const std::string& services) {
    auto started = DaemonProcess::Start({"--services", services});
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
  }
  static void InDefault(grpc::ClientContext* context) {
    context->AddMetadata("containerd-namespace", "default");
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }

  std::unique_ptr<DaemonProcess> daemon_;
};

TEST_F(ServicesAloneTest, WhatIsNotNamedIsUnimplemented) {
  Start("content");
  {
    grpc::ClientContext context;
    InDefault(&context);
    auto reader = pb::content::v1::Content::NewStub(daemon_->Channel())->List(&context, {});
    pb::content::v1::ListContentResponse response;
    while (reader->Read(&response)) {
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  {
    grpc::ClientContext context;
    InDefault(&context);
    pb::images::v1::ListImagesResponse response;
    EXPECT_EQ(pb::images::v1::Images::NewStub(daemon_->Channel())
                  ->List(&context, {}, &response)
                  .error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
}

TEST_F(ServicesAloneTest, IntrospectionTellsOfWhatIsServedOnly) {
  Start("content,snapshots");
  grpc::ClientContext context;
  InDefault(&context);
  pb::introspection::v1::PluginsResponse response;
  const grpc::Status status = pb::introspection::v1::Introspection::NewStub(daemon_->Channel())
                                  ->Plugins(&context, {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::vector<std::string> plugins;
  for (const auto& plugin : response.plugins())
    plugins.push_back(plugin.type() + "." + plugin.id());
  EXPECT_THAT(plugins, Contains("io.containerd.content.v1.content"));
  EXPECT_THAT(plugins, Contains("io.containerd.snapshotter.v1.overlayfs"));
  EXPECT_THAT(plugins, Contains("io.containerd.grpc.v1.version"));
  EXPECT_THAT(plugins, Not(Contains("io.containerd.runtime.v2.task")));
  EXPECT_THAT(plugins, Not(Contains("io.containerd.grpc.v1.images")));
}

TEST_F(ServicesAloneTest, WithoutTasksThereIsNoZygoteAndNoShimSocket) {
  Start("content");
  const std::string children = "/proc/" + std::to_string(daemon_->pid()) + "/task/" +
                               std::to_string(daemon_->pid()) + "/children";
  EXPECT_EQ(ReadFile(children).value_or("unreadable"), "");
  const auto files = ListDirectory(daemon_->directory());
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(*files, Contains("g.sock"));
  EXPECT_THAT(*files, Not(Contains("g.sock.ttrpc")));
}

TEST_F(ServicesAloneTest, AServiceThatIsUnknownOrCannotStandAloneStopsTheStart) {
  const auto unknown = DaemonProcess::Run({"--services", "content,snapshotz", "config", "dump"});
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->exit_code, 1);
  EXPECT_THAT(unknown->log, HasSubstr("\"snapshotz\" is none of"));

  const auto directory = TempDir::Create("gantryd-");
  ASSERT_TRUE(directory.ok());
  const std::string& path = directory->path();
  const auto diff =
      DaemonProcess::Run({"--services", "diff", "--root", path + "/root", "--state",
                          path + "/state", "--address", path + "/g.sock", "--config", "/dev/null"});
  ASSERT_TRUE(diff.ok()) << diff.status();
  EXPECT_EQ(diff->exit_code, 1);
  EXPECT_THAT(diff->log,
              HasSubstr("diff reads and makes content: it cannot be served without content"));
}

}  // namespace
}  // namespace gantry::test
