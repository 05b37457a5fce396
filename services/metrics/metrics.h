#ifndef GANTRY_SERVICES_METRICS_METRICS_H_
#define GANTRY_SERVICES_METRICS_METRICS_H_

#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace gantry::metrics {

// Where a scrape's families go, one after another: a page of a thousand containers is never held as
// objects, which take ten times the memory of its text.
using FamilySink = std::function<void(prometheus::MetricFamily family)>;

using Labels = std::vector<prometheus::ClientMetric::Label>;

// A family of one kind that is filled value by value.
class FamilyBuilder {
 public:
  FamilyBuilder(std::string name, std::string help, prometheus::MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }
  void Add(double value, Labels labels = {}) {
    prometheus::ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    // The serializer reads the one that the family's type names.
    metric.gauge.value = value;
    metric.counter.value = value;
  }
  // A family without values is left out of the page.
  void WriteTo(const FamilySink& sink) && {
    if (!family_.metric.empty()) sink(std::move(family_));
  }

 private:
  prometheus::MetricFamily family_;
};

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_METRICS_H_
