#include "tools/demo/reference.h"

#include <vector>

#include "tools/demo/conversation.h"
#include "tools/demo/orders.h"
#include "tools/demo/worker.h"

namespace baton::demo {
namespace {

Status run(MessagePipe& pipe) {
  const auto orders = receive_orders(pipe);
  if (!orders.ok()) {
    return orders.status();
  }
  const Setup& setup = orders->setup;
  auto engine = Engine::create(setup);
  if (!engine.ok()) {
    return engine.status();
  }
  std::vector<std::vector<Token>> prompts;
  std::vector<std::vector<Step>> answers;
  for (const PlannedRequest& request : orders->requests) {
    const auto first = static_cast<std::size_t>(request.follows);
    prompts.push_back(request.follows < 0
                          ? request.tokens
                          : second_turn(prompts[first], answers[first], request.tokens));
    auto steps = engine::generate(*engine->session, prompts.back(), setup.tokens);
    if (!steps.ok()) {
      return steps.status();
    }
    answers.push_back(*steps);
    if (Status sent = pipe.send(ReferenceResult{request.index, *std::move(steps)}); !sent.ok()) {
      return sent;
    }
  }
  return absl::OkStatus();
}

}  // namespace

int run_reference(UniqueFd socket) {
  return run_worker(std::move(socket), run);
}

}  // namespace baton::demo
