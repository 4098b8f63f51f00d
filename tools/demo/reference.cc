#include "tools/demo/reference.h"

#include <vector>

#include "tools/demo/conversation.h"
#include "tools/demo/worker.h"

namespace baton::demo {
namespace {

Status run(MessagePipe& pipe) {
  const auto setup = pipe.receive_a<Setup>(Clock::now() + std::chrono::minutes(1));
  if (!setup.ok()) {
    return setup.status();
  }
  auto engine = Engine::create(*setup);
  if (!engine.ok()) {
    return engine.status();
  }
  std::vector<std::vector<Token>> prompts;
  std::vector<std::vector<Step>> answers;
  for (std::uint32_t i = 0; i < setup->requests; ++i) {
    const auto request = pipe.receive_a<PlannedRequest>(deadline_of(*setup));
    if (!request.ok()) {
      return request.status();
    }
    if (Status fine = check_order(*request, i); !fine.ok()) {
      return fine;
    }
    const auto first = static_cast<std::size_t>(request->follows);
    prompts.push_back(request->follows < 0
                          ? request->tokens
                          : second_turn(prompts[first], answers[first], request->tokens));
    auto steps = engine::generate(*engine->session, prompts.back(), setup->tokens);
    if (!steps.ok()) {
      return steps.status();
    }
    answers.push_back(*steps);
    if (Status sent = pipe.send(ReferenceResult{i, *std::move(steps)}); !sent.ok()) {
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
