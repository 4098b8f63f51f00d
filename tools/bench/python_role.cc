// lmcache_mode's processes: Python, started in this process's place.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "tools/bench/failed.h"
#include "tools/bench/role.h"

namespace baton::bench {

void become_python(const std::string& script, int socket) {
  const std::string path = std::string(BATON_BENCHMARKS_DIR) + "/lmcache_mode/" + script;
  ::fcntl(socket, F_SETFD, 0);
  const std::string fd = std::to_string(socket);
  // -B: the sources' folder is not ours to write into.
  ::execl("/usr/bin/python3", "python3", "-B", path.c_str(), fd.c_str(), nullptr);
  throw Failed(fmt::format("can't run /usr/bin/python3 {}: {}", path, std::strerror(errno)));
}

}  // namespace baton::bench
