#ifndef GANTRY_SERVICES_METADATA_CODEC_H_
#define GANTRY_SERVICES_METADATA_CODEC_H_

#include "absl/time/time.h"
#include "base/any.h"
#include "base/identifiers.h"
#include "base/wire.h"

namespace gantry::metadata {

// Parts that records of several kinds have, in base/wire.h's format.

// Times keep seconds and nanoseconds apart, so that year 1 (Go's "no time") survives.
void PutTime(WireWriter& writer, uint32_t field, absl::Time time);
absl::Time GetTime(const WireReader& reader);
absl::Time GetTime(absl::string_view bytes);

void PutLabels(WireWriter& writer, uint32_t field, const Labels& labels);

void PutAny(WireWriter& writer, uint32_t field, const Any& any);
Any GetAny(absl::string_view bytes);

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_CODEC_H_
