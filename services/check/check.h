#ifndef GANTRY_SERVICES_CHECK_CHECK_H_
#define GANTRY_SERVICES_CHECK_CHECK_H_

#include <functional>
#include <string>

namespace gantry::check {

// One difference between what the records say and what is there.
struct Finding {
  std::string kind;     // "content.damaged"
  std::string subject;  // digest, ref, key or name
  std::string where;    // namespaces, or nothing
  std::string detail;   // a sentence's rest: what is wrong
  std::string mended;   // what was done about it; empty: nothing
  bool lost = false;    // something that a client had stored is not there any more
};

struct Options {
  // Mend what can be mended without losing more than is lost already.
  bool repair = false;
  // Read every blob and hold it against its digest; else sizes only.
  bool digests = true;
};

// Called for each difference, in the order in which they are found.
using Report = std::function<void(const Finding&)>;

}  // namespace gantry::check

#endif  // GANTRY_SERVICES_CHECK_CHECK_H_
