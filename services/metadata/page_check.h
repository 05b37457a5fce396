#ifndef GANTRY_SERVICES_METADATA_PAGE_CHECK_H_
#define GANTRY_SERVICES_METADATA_PAGE_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gantry::metadata {

// Reads every page of the LMDB file `path` that its newest transaction reaches, without LMDB: that
// maps the file and trusts it, so that a file that was cut is SIGBUS and a page of zeros abort().
// Sizes, kinds and links of pages are checked; the bytes of records are not (LMDB keeps no sums).
// A file that is missing or empty passes: LMDB makes a new one. Nothing may write meanwhile.
// `base` takes the place of the file's first bytes, as it will when it is put back; then the file
// has to be there.
//
// Errors: DataLoss that names the file and the page; of open(2) and pread(2).
// Source: lmdb 0.9 mdb.c, "page headers" and "meta page"; 64 bit, the host's byte order.
absl::Status CheckPages(const std::string& path, absl::string_view base = "");

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_PAGE_CHECK_H_
