#include "daemon/metrics_part.h"

#include <prometheus/text_serializer.h>

#include <sstream>

#include "base/errors.h"
#include "base/log.h"
#include "daemon/sockets.h"
#include "services/metrics/process_families.h"

namespace gantry::daemon {
namespace {

// At the same time. Each takes a thread of the pool that requests need as well.
constexpr int kMostScrapes = 2;
constexpr char kTextFormat[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPart>> MetricsPart::Listen(const Config& config) {
  GANTRY_ASSIGN_OR_RETURN(const TcpAddress wanted, ParseTcpAddress(config.metrics_address));
  absl::StatusOr<UniqueFd> listener = ListenTcp(wanted);
  if (!listener.ok()) return Annotate(listener.status(), "metrics.address");
  GANTRY_ASSIGN_OR_RETURN(std::string address, LocalAddressOf(*listener));
  return std::unique_ptr<MetricsPart>(
      new MetricsPart(*std::move(listener), std::move(address), config.metrics_grpc_histogram));
}

absl::Status MetricsPart::Serve(EventLoop& loop, Executor& disk, const Observed& observed) {
  const metrics::HttpHandler scrape = [this, &disk, &observed](const Answer& answer) {
    Scrape(disk, observed, answer);
  };
  const metrics::HttpHandler health = [&disk, &observed](const Answer& answer) {
    // By the way that requests take: the loop, the pool, the store.
    disk.Run([&observed, answer] {
      const absl::Status healthy = observed.CheckHealth();
      if (healthy.ok()) return answer({.body = "ok\n"});
      answer({.status = 503, .body = absl::StrCat(healthy.message(), "\n")});
    });
  };
  endpoint_ = std::make_unique<metrics::HttpEndpoint>(
      loop, std::move(listener_),
      std::map<std::string, metrics::HttpHandler>{
          {"/v1/metrics", scrape}, {"/metrics", scrape}, {"/healthz", health}});
  GANTRY_RETURN_IF_ERROR(endpoint_->Serve());
  LogInfo("metrics are served", {{"address", address_}});
  return absl::OkStatus();
}

void MetricsPart::Scrape(Executor& disk, const Observed& observed, const Answer& answer) {
  if (scrapes_.fetch_add(1) >= kMostScrapes) {
    --scrapes_;
    return answer({.status = 503, .body = "other scrapes are under way\n"});
  }
  disk.Run([this, &observed, answer] {
    std::string page = Page(observed);
    --scrapes_;
    answer({.content_type = kTextFormat, .body = std::move(page)});
  });
}

std::string MetricsPart::Page(const Observed& observed) const {
  std::ostringstream page;
  const prometheus::TextSerializer serializer;
  serializer.Serialize(page, registry_.Collect());
  const metrics::FamilySink sink = [&](prometheus::MetricFamily family) {
    std::vector<prometheus::MetricFamily> one;
    one.push_back(std::move(family));
    serializer.Serialize(page, one);
  };
  observed.WriteFamilies(sink);
  metrics::WriteProcessFamilies(sink);
  return std::move(page).str();
}

}  // namespace gantry::daemon
