#ifndef GANTRY_BENCH_FLOOR_CHILD_H_
#define GANTRY_BENCH_FLOOR_CHILD_H_

#include <cstdint>

namespace gantry::bench {

// The moments that the child writes down, in their order.
enum ChildStamp : int {
  kBorn,         // first instruction after clone3
  kInCgroups,    // a member of all its cgroups
  kRootMounted,  // overlay
  kMounted,      // proc, dev, devpts, shm, mqueue, sysfs, run and the device nodes
  kPivoted,      // the host's tree is let go
  kExecuting,    // the next call is execve
  kChildStamps,
};

// What the parent and the child share: one page that both can write.
struct SharedPage {
  int64_t nanos[kChildStamps];  // CLOCK_MONOTONIC
  int32_t failed_line;          // where the child gave up, 0: nowhere
  int32_t error;
};

struct ChildArguments {
  const int* tasks_fds;  // "tasks" of each v1 hierarchy
  int tasks_count;
  const char* overlay_options;  // lowerdir=...,upperdir=...,workdir=...
  const char* root;             // an empty directory, where the overlay is mounted
  const char* const* argv;
  bool network_is_own;  // sysfs can only be mounted by who owns the network namespace
  SharedPage* page;
};

// In the new process: does what any container's init must, with the fewest calls, and executes.
[[noreturn]] void RunFloorChild(const ChildArguments& arguments);

int64_t MonotonicNanos();

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_FLOOR_CHILD_H_
