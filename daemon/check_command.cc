#include "daemon/check_command.h"

#include <unistd.h>

#include <cstdio>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/json.h"
#include "daemon/root_lock.h"
#include "daemon/snapshots_part.h"
#include "services/check/reference_check.h"
#include "services/containers/containers.h"
#include "services/content/content_check.h"
#include "services/images/images.h"
#include "services/leases/leases.h"
#include "services/metadata/store.h"
#include "services/snapshots/snapshot_check.h"

namespace gantry::daemon {
namespace {

struct Tally {
  size_t differences = 0;
  size_t mended = 0;
  size_t lost = 0;
};

std::string ToText(const check::Finding& finding) {
  std::string line = absl::StrCat(finding.kind, " ", finding.subject);
  if (!finding.where.empty()) absl::StrAppend(&line, " (in ", finding.where, ")");
  absl::StrAppend(&line, ": ", finding.detail);
  if (!finding.mended.empty()) absl::StrAppend(&line, "; ", finding.mended);
  return line;
}

std::string ToJson(const check::Finding& finding) {
  return DumpJson({{"kind", finding.kind},
                   {"subject", finding.subject},
                   {"where", finding.where},
                   {"detail", finding.detail},
                   {"mended", finding.mended},
                   {"lost", finding.lost}});
}

absl::Status CheckAll(const Config& config, const check::Options& options,
                      const check::Report& report, std::string* summary) {
  // Neither the lock nor the store is to make what is not there.
  const std::string path = absl::StrCat(config.root, "/metadata");
  if (::access((path + "/meta.mdb").c_str(), F_OK) != 0) {
    return ErrnoError(errno, absl::StrCat("find the store of a gantryd in ", config.root));
  }
  GANTRY_ASSIGN_OR_RETURN(const RootLock lock, RootLock::Take(config.root));
  GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<metadata::Store> store,
                          metadata::Store::Open(path));
  std::set<std::string> known = {gc::kImageBucket};
  // Content of a proxy plugin is that of another process, whatever was here before.
  if (FindProxy(config.proxy_plugins, ProxyType::kContent) == nullptr) {
    GANTRY_ASSIGN_OR_RETURN(
        const content::CheckedContent checked,
        content::CheckContent(absl::StrCat(config.root, "/content"), *store, options, report));
    known.insert({gc::kContentBucket, gc::kIngestBucket});
    *summary = absl::StrCat(checked.blobs, " blobs of ", checked.bytes, " bytes, ", checked.ingests,
                            " uploads, ");
  }
  size_t total = 0;
  for (const auto& [name, root] : SnapshotsPart::Roots(config)) {
    GANTRY_ASSIGN_OR_RETURN(const size_t checked,
                            snapshots::CheckSnapshots(root, name, *store, options, report));
    total += checked;
    known.insert(absl::StrCat(gc::kSnapshotBuckets, name));
  }
  absl::StrAppend(summary, total, " snapshots");
  const images::Images images(*store);
  const containers::Containers containers(*store);
  const leases::Leases leases(*store);
  return check::CheckReferences(*store, {&images, &containers, &leases}, known, options, report);
}

}  // namespace

int RunCheck(const Config& config, const check::Options& options, bool json) {
  Tally tally;
  const check::Report report = [&](const check::Finding& finding) {
    ++tally.differences;
    if (!finding.mended.empty()) ++tally.mended;
    if (finding.lost) ++tally.lost;
    std::printf("%s\n", (json ? ToJson(finding) : ToText(finding)).c_str());
  };
  std::string summary;
  const absl::Status status = CheckAll(config, options, report, &summary);
  std::fflush(stdout);
  if (!status.ok()) {
    std::fprintf(stderr, "gantryd: check: %s\n", std::string(status.message()).c_str());
    return 2;
  }
  std::fprintf(stderr, "checked %s: %zu differences, %zu mended, %zu of them losses\n",
               summary.c_str(), tally.differences, tally.mended, tally.lost);
  return tally.differences == 0 ? 0 : 1;
}

}  // namespace gantry::daemon
