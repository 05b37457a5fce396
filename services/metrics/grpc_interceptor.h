#ifndef GANTRY_SERVICES_METRICS_GRPC_INTERCEPTOR_H_
#define GANTRY_SERVICES_METRICS_GRPC_INTERCEPTOR_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "services/metrics/grpc_metrics.h"

namespace gantry::metrics {

// Has a server count its calls in `metrics`, which outlives it.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CountCalls(
    GrpcMetrics& metrics);

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_GRPC_INTERCEPTOR_H_
