#ifndef GANTRY_SHIM_ZYGOTE_H_
#define GANTRY_SHIM_ZYGOTE_H_

namespace gantry::shim {

// The zygote's whole life: forks a shim for each request on its socket (runtime/zygote) until the
// other end closes. In the forked child it runs that shim. Gives back the process's exit status.
int RunZygote();

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_ZYGOTE_H_
