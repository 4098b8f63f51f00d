// What prefillers, decoders and the reference have in common.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "baton/options.h"
#include "baton/pd_backend.h"
#include "src/engine/llama_session.h"
#include "tools/demo/message_pipe.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// Model and context of one process.
struct Engine {
  std::shared_ptr<const engine::LlamaModel> model;
  std::unique_ptr<engine::LlamaSession> session;

  static StatusOr<Engine> create(const Setup& setup);
};

/// The names of a prompt's chunks.
std::vector<CacheEngineKey> keys_of(std::span<const Token> prompt, const Setup& setup,
                                    const engine::LlamaModel& model);

CacheLayout layout_of(const Setup& setup, const engine::LlamaModel& model);
Options backend_options(const Setup& setup, Role role, const engine::LlamaModel& model);

/// The deadline of everything in this process.
Clock::time_point deadline_of(const Setup& setup);

/// Runs `body`; if it fails, says so through the pipe. The process's exit status.
template <typename Body>
int run_worker(UniqueFd socket, Body body) {
  MessagePipe pipe(std::move(socket));
  const Status status = body(pipe);
  if (!status.ok()) {
    static_cast<void>(pipe.send(Failure{std::string(status.message())}));
  }
  return status.ok() ? 0 : 1;
}

}  // namespace baton::demo
