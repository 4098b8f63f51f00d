#include "tools/bench/worker.h"

#include <fmt/format.h>

#include <utility>

#include "tools/bench/failed.h"

namespace baton::bench {

Worker::Worker(const std::string& role, std::string name, Json arguments, int interrupt_fd)
    : name_(std::move(name)), interrupt_fd_(interrupt_fd) {
  process_ = checked(demo::ChildProcess::spawn("bench-worker", name_), "can't start " + name_);
  pipe_ = std::make_unique<JsonPipe>(process_->take_socket());
  if (role.ends_with(".py")) {
    call("become_python", {{"script", role}});  // answered before it does
  }
  arguments["role"] = role;
  started_ = call("start", std::move(arguments));
}

void Worker::send(const std::string& op, Json arguments) {
  arguments["op"] = op;
  if (!pipe_->send(arguments)) {
    fail_ended();
  }
}

Json Worker::receive(std::chrono::seconds limit) {
  auto end = JsonPipe::End::kNone;
  Json answer = pipe_->receive(Clock::now() + limit, interrupt_fd_, end);
  switch (end) {
    case JsonPipe::End::kNone:
      break;
    case JsonPipe::End::kPeerGone:
      fail_ended();
    case JsonPipe::End::kTimeout:
      throw Failed(fmt::format("{} gave no answer within {} s", name_, limit.count()));
    case JsonPipe::End::kInterrupted:
      throw Interrupted();
  }
  if (answer.contains("error")) {
    throw Failed(name_ + ": " + answer["error"].get<std::string>());
  }
  cpu_seconds_ = answer.at("cpu_seconds").get<double>();
  return answer;
}

void Worker::fail_ended() {
  const Status how = process_->wait(std::chrono::seconds(5));
  throw Failed(how.ok() ? name_ + " ended in the middle of the run" : std::string(how.message()));
}

}  // namespace baton::bench
