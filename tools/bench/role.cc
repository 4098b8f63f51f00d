#include "tools/bench/role.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"

namespace baton::bench {
namespace {

/// The main process waits for answers; a worker has nothing to do before it is asked.
constexpr std::chrono::hours kForever{24};

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

struct Kind {
  std::string_view name;
  std::unique_ptr<Role> (*make)(const Json&);
};

constexpr Kind kKinds[] = {
    {"sender", make_sender},
#ifdef BATON_WITH_LLAMA
    {"exporter", make_exporter},
#endif
    {"receiver", make_receiver},
    {"memory", make_memory},
    {"copier", make_copier},
    {"loop-sender", make_loop_sender},
    {"loop-receiver", make_loop_receiver},
    {"raw-tcp-sender", make_raw_tcp_sender},
    {"raw-tcp-receiver", make_raw_tcp_receiver},
    {"ucx-source", make_ucx_source},
    {"ucx-target", make_ucx_target},
    {"allocator", make_allocator},
    {"index", make_index},
    {"echo", make_echo},
    {"ping", make_ping},
};

std::unique_ptr<Role> make_role(const Json& arguments) {
  const auto name = arguments.at("role").get<std::string>();
  for (const Kind& kind : kKinds) {
    if (kind.name == name) {
      return kind.make(arguments);
    }
  }
  throw Failed("there is no role " + name);
}

}  // namespace

int run_worker(UniqueFd socket) {
  JsonPipe pipe(std::move(socket));
  std::unique_ptr<Role> role;
  while (true) {
    auto end = JsonPipe::End::kNone;
    const Json request = pipe.receive(Clock::now() + kForever, -1, end);
    if (end != JsonPipe::End::kNone) {
      return 0;
    }
    Json answer;
    try {
      const auto op = request.at("op").get<std::string>();
      if (op == "become_python") {
        pipe.send({{"cpu_seconds", 0}});
        become_python(request.at("script").get<std::string>(), pipe.fd());
      } else if (op == "start") {
        role = make_role(request);
        answer = role->started();
      } else {
        answer = role->call(op, request);
      }
    } catch (const std::exception& error) {
      pipe.send({{"error", error.what()}});
      return 1;
    }
    answer["cpu_seconds"] = cpu_seconds();
    if (!pipe.send(answer)) {
      return 0;
    }
  }
}

}  // namespace baton::bench
