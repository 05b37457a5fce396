#include "services/metrics/grpc_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <sstream>
#include <thread>

#include "services/metrics/gc_metrics.h"

namespace gantry::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Page(const prometheus::Registry& registry) {
  std::ostringstream page;
  prometheus::TextSerializer().Serialize(page, registry.Collect());
  return page.str();
}

TEST(GrpcMetricsTest, ACallIsToldByServiceMethodTypeAndCode) {
  prometheus::Registry registry;
  GrpcMetrics metrics(registry, false);
  GrpcMetrics::Method& method =
      metrics.Of("/containerd.services.tasks.v1.Tasks/Create", CallType::kUnary);
  method.Started();
  method.Received();
  method.Handled(6, absl::Seconds(1));
  metrics.Of("/a.B/Write", CallType::kBidiStream).Started();
  const std::string page = Page(registry);
  const std::string create =
      "grpc_method=\"Create\",grpc_service=\"containerd.services.tasks.v1.Tasks\","
      "grpc_type=\"unary\"} ";
  EXPECT_THAT(page, HasSubstr("grpc_server_started_total{" + create + "1\n"));
  EXPECT_THAT(page, HasSubstr("grpc_server_msg_received_total{" + create + "1\n"));
  EXPECT_THAT(page, HasSubstr("grpc_server_msg_sent_total{" + create + "0\n"));
  EXPECT_THAT(page,
              HasSubstr("grpc_server_handled_total{grpc_code=\"AlreadyExists\"," + create + "1\n"));
  EXPECT_THAT(
      page, HasSubstr("grpc_method=\"Write\",grpc_service=\"a.B\",grpc_type=\"bidi_stream\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("grpc_server_handling_seconds")));
}

TEST(GrpcMetricsTest, WithAHistogramTheTimeFallsIntoContainerdsBuckets) {
  prometheus::Registry registry;
  GrpcMetrics metrics(registry, true);
  metrics.Of("/a.B/C", CallType::kServerStream).Handled(0, absl::Milliseconds(30));
  const std::string page = Page(registry);
  const std::string labels = "{grpc_method=\"C\",grpc_service=\"a.B\",grpc_type=\"server_stream\"";
  EXPECT_THAT(page, HasSubstr("grpc_server_handling_seconds_count" + labels + "} 1\n"));
  EXPECT_THAT(page,
              HasSubstr("grpc_server_handling_seconds_bucket" + labels + ",le=\"0.025\"} 0\n"));
  EXPECT_THAT(page,
              HasSubstr("grpc_server_handling_seconds_bucket" + labels + ",le=\"0.05\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("grpc_server_handling_seconds_bucket" + labels + ",le=\"10\"} 1\n"));
}

TEST(GrpcMetricsTest, ACodeThatGrpcDoesNotHaveIsUnknown) {
  prometheus::Registry registry;
  GrpcMetrics metrics(registry, false);
  GrpcMetrics::Method& method = metrics.Of("/a.B/C", CallType::kUnary);
  method.Handled(-1, absl::ZeroDuration());
  method.Handled(17, absl::ZeroDuration());
  EXPECT_THAT(Page(registry), HasSubstr("grpc_code=\"Unknown\",grpc_method=\"C\",grpc_service=\"a."
                                        "B\",grpc_type=\"unary\"} 2\n"));
}

TEST(GrpcMetricsTest, NoCallOfSeveralThreadsIsLost) {
  prometheus::Registry registry;
  GrpcMetrics metrics(registry, true);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 500; ++call) {
        GrpcMetrics::Method& method = metrics.Of("/a.B/C", CallType::kUnary);
        method.Started();
        method.Handled(call % 2 == 0 ? 0 : 5, absl::Milliseconds(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string page = Page(registry);
  const std::string labels = "grpc_method=\"C\",grpc_service=\"a.B\",grpc_type=\"unary\"} ";
  EXPECT_THAT(page, HasSubstr("grpc_server_started_total{" + labels + "2000\n"));
  EXPECT_THAT(page, HasSubstr("grpc_server_handled_total{grpc_code=\"OK\"," + labels + "1000\n"));
  EXPECT_THAT(page,
              HasSubstr("grpc_server_handled_total{grpc_code=\"NotFound\"," + labels + "1000\n"));
  EXPECT_THAT(page, HasSubstr("grpc_server_handling_seconds_count{" + labels + "2000\n"));
}

TEST(GcMetricsTest, CollectionsAreCountedByOutcomeAndTimed) {
  prometheus::Registry registry;
  GcMetrics metrics(registry);
  metrics.Collected(absl::Milliseconds(40), 7);
  metrics.Failed();
  const std::string page = Page(registry);
  EXPECT_THAT(page, HasSubstr("containerd_gc_collections_total{status=\"success\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("containerd_gc_collections_total{status=\"fail\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("containerd_gc_gc_seconds_bucket{le=\"0.05\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("containerd_gc_gc_seconds_count 1\n"));
  EXPECT_THAT(page, HasSubstr("gantry_gc_removed_total 7\n"));
}

}  // namespace
}  // namespace gantry::metrics
