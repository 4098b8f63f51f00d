// What a process of the benchmark does.
#pragma once

#include <memory>
#include <string>

#include "src/base/unique_fd.h"
#include "tools/bench/json.h"

namespace baton::bench {

/// Made in a process of its own; answers one call after the other. Errors are thrown, and end the
/// run.
class Role {
 public:
  Role() = default;
  virtual ~Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  /// The answer to "start".
  virtual Json started() { return Json::object(); }
  virtual Json call(const std::string& op, const Json& arguments) = 0;
};

/// Baton's own two ends.
std::unique_ptr<Role> make_sender(const Json& arguments);
std::unique_ptr<Role> make_exporter(const Json& arguments);
std::unique_ptr<Role> make_receiver(const Json& arguments);
/// A buffer that other processes map, as a receiver's is.
std::unique_ptr<Role> make_memory(const Json& arguments);
/// nt_copy, memcpy and digests, one thread.
std::unique_ptr<Role> make_copier(const Json& arguments);

/// The least that a handoff could cost on one host.
std::unique_ptr<Role> make_loop_sender(const Json& arguments);
std::unique_ptr<Role> make_loop_receiver(const Json& arguments);
/// Bytes over loopback, and nothing else.
std::unique_ptr<Role> make_raw_tcp_sender(const Json& arguments);
std::unique_ptr<Role> make_raw_tcp_receiver(const Json& arguments);
/// Bytes through UCX, and nothing else.
std::unique_ptr<Role> make_ucx_source(const Json& arguments);
std::unique_ptr<Role> make_ucx_target(const Json& arguments);
/// Allocation round trips with a real receiver.
std::unique_ptr<Role> make_allocator(const Json& arguments);
/// The receiver's index without a network.
std::unique_ptr<Role> make_index(const Json& arguments);
/// One message and its answer.
std::unique_ptr<Role> make_echo(const Json& arguments);
std::unique_ptr<Role> make_ping(const Json& arguments);

/// Runs `script` of benchmarks/lmcache_mode/ instead of this program, with the same socket. Returns
/// by throwing only.
void become_python(const std::string& script, int socket);

/// Runs a role until the main process closes the socket: `baton bench-worker FD`. The exit status.
int run_worker(UniqueFd socket);

}  // namespace baton::bench
