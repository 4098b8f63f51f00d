#include "tools/demo/demo.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "src/engine/llama_model.h"
#include "tools/demo/child_process.h"
#include "tools/demo/corpus.h"
#include "tools/demo/message_pipe.h"
#include "tools/demo/model_cache.h"
#include "tools/demo/outcome.h"
#include "tools/demo/plan.h"
#include "tools/demo/report.h"
#include "tools/demo/signal_fd.h"

namespace baton::demo {
namespace {

constexpr int kInterrupted = 130;  // as a shell reports SIGINT
constexpr std::chrono::milliseconds kExitLimit{10'000};
/// The control's chunk: not the first, so that it is found in the midst of things.
constexpr std::uint32_t kFaultAtChunk = 3;

/// The main process: plans, runs the reference, then the handoff, and compares.
class Demo {
 public:
  explicit Demo(const DemoOptions& options)
      : options_(options), deadline_(Clock::now() + options.timeout) {}

  int run();

 private:
  Status prepare();
  StatusOr<Plan> plan(const engine::LlamaModel& model) const;
  StatusOr<std::unique_ptr<MessagePipe>> brief(ChildProcess& child) const;
  Status run_reference();
  Status run_handoff();
  Status record(RequestResult result);
  Status named(const ChildProcess& child, const Status& status) const;
  int conclude(const Status& status);
  bool write_json() const;

  const DemoOptions options_;
  const Clock::time_point deadline_;
  const SignalFd signals_;
  Setup setup_;
  Outcome outcome_;
  std::size_t finished_ = 0;
};

StatusOr<Plan> Demo::plan(const engine::LlamaModel& model) const {
  const auto corpus = read_corpus();
  if (!corpus.ok()) {
    return corpus.status();
  }
  const auto beginning = model.tokenize("");
  if (!beginning.ok()) {
    return beginning.status();
  }
  std::vector<Token> text;
  for (const std::string& licence : *corpus) {
    const auto tokens = model.tokenize(licence);
    if (!tokens.ok()) {
      return tokens.status();
    }
    text.insert(text.end(), tokens->begin() + static_cast<std::ptrdiff_t>(beginning->size()),
                tokens->end());
  }
  return make_plan(options_, {model.max_context_tokens(), *beginning}, text);
}

Status Demo::prepare() {
  auto path = options_.model.empty() ? ensure_tiny_model() : StatusOr<std::string>(options_.model);
  if (!path.ok()) {
    return path.status();
  }
  const auto model = engine::LlamaModel::load(*path);
  if (!model.ok()) {
    return model.status();
  }
  auto planned = plan(**model);
  if (!planned.ok()) {
    return planned.status();
  }
  outcome_.plan = *std::move(planned);
  const Plan& made = outcome_.plan;
  outcome_.requests.resize(made.requests.size());
  setup_ = {
      .model = *path,
      .prefillers = options_.prefillers,
      .decoders = options_.decoders,
      .requests = static_cast<std::uint32_t>(made.requests.size()),
      .tokens = options_.tokens,
      .chunk_tokens = options_.chunk_tokens,
      .context_tokens = made.context_tokens,
      // Twice the largest request: enough for any, too little for all.
      .buffer_pages = 2 * made.largest_chunks,
      .transport = options_.transport,
      .insecure_data_plane = options_.insecure_data_plane,
      .timeout_ms = static_cast<std::uint32_t>(std::chrono::milliseconds(options_.timeout).count()),
      .fault = options_.fault,
      .fault_at_chunk = std::min(kFaultAtChunk, made.total_chunks)};
  fmt::print(stderr,
             "{} requests of {} to {} tokens, {} chunks of {} tokens in all; {} prefiller(s), {} "
             "decoder(s) with {} pages each; model {}\n",
             made.requests.size(), *std::ranges::min_element(made.prompt_tokens),
             *std::ranges::max_element(made.prompt_tokens), made.total_chunks,
             options_.chunk_tokens, options_.prefillers, options_.decoders, setup_.buffer_pages,
             *path);
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<MessagePipe>> Demo::brief(ChildProcess& child) const {
  auto pipe = std::make_unique<MessagePipe>(child.take_socket());
  Status sent = pipe->send(setup_);
  for (const PlannedRequest& request : outcome_.plan.requests) {
    if (sent.ok()) {
      sent = pipe->send(request);
    }
  }
  if (!sent.ok()) {
    return named(child, sent);
  }
  return pipe;
}

Status Demo::named(const ChildProcess& child, const Status& status) const {
  if (absl::IsCancelled(status)) {
    return status;
  }
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        fmt::format("the {} was not done after {} s (--timeout): {} of {} requests have a result",
                    child.name(), options_.timeout.count(), finished_, outcome_.requests.size()));
  }
  return Status(status.code(),
                fmt::format("the {}: {}", child.name(), std::string(status.message())));
}

Status Demo::run_reference() {
  auto child = ChildProcess::spawn("demo-reference", "reference run");
  if (!child.ok()) {
    return child.status();
  }
  auto pipe = brief(**child);
  if (!pipe.ok()) {
    return pipe.status();
  }
  fmt::print(stderr, "Reference, in one process: ");
  for (RequestOutcome& request : outcome_.requests) {
    auto result = (*pipe)->receive_a<ReferenceResult>(deadline_, signals_.get());
    if (!result.ok()) {
      fmt::print(stderr, "\n");
      return named(**child, result.status());
    }
    request.reference = std::move(result->steps);
    fmt::print(stderr, ".");
  }
  fmt::print(stderr, " done\nHandoff, between processes:\n");
  return (*child)->wait(kExitLimit);
}

Status Demo::record(RequestResult result) {
  if (result.index >= outcome_.requests.size()) {
    return absl::DataLossError(
        fmt::format("a result for request {} of {}", result.index + 1, outcome_.requests.size()));
  }
  RequestOutcome& request = outcome_.requests[result.index];
  request.handoff = std::move(result);
  fmt::print(stderr, "{}\n", progress_line(request, ++finished_, outcome_.requests.size()));
  return absl::OkStatus();
}

Status Demo::run_handoff() {
  auto child = ChildProcess::spawn("demo-proxy", "proxy");
  if (!child.ok()) {
    return child.status();
  }
  auto pipe = brief(**child);
  if (!pipe.ok()) {
    return pipe.status();
  }
  while (!outcome_.end.has_value()) {
    auto message = (*pipe)->receive(deadline_, signals_.get());
    if (!message.ok()) {
      return named(**child, message.status());
    }
    Status fine;
    if (auto* result = std::get_if<RequestResult>(&*message)) {
      fine = record(std::move(*result));
    } else if (auto* end = std::get_if<RunEnd>(&*message)) {
      outcome_.end = std::move(*end);
    } else if (const auto* failure = std::get_if<Failure>(&*message)) {
      fine = absl::AbortedError(failure->message);
    } else {
      fine = absl::DataLossError(std::string("the proxy sent a message out of turn"));
    }
    if (!fine.ok()) {
      return fine;
    }
  }
  pipe->reset();  // The proxy ends when nobody listens any more.
  return (*child)->wait(kExitLimit);
}

bool Demo::write_json() const {
  if (options_.json.empty()) {
    return true;
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(options_.json.c_str(), "we"), &std::fclose);
  const std::string text = to_json_text(outcome_);
  if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
      std::fflush(file.get()) != 0) {
    fmt::print(stderr, "baton demo: can't write {} (--json): {}\n", options_.json,
               std::strerror(errno));
    return false;
  }
  return true;
}

int Demo::conclude(const Status& status) {
  outcome_.failure = std::string(status.message());
  if (!outcome_.requests.empty() && outcome_.end.has_value()) {
    fmt::print("{}", table(outcome_));
    std::fflush(stdout);
  }
  const auto wrong = complaints(outcome_, options_);
  fmt::print(stderr, "{}", verdict(outcome_, wrong));
  return write_json() && wrong.empty() ? 0 : 1;
}

int Demo::run() {
  if (Status prepared = prepare(); !prepared.ok()) {
    fmt::print(stderr, "baton demo: {}\n", std::string(prepared.message()));
    return 1;
  }
  Status status = run_reference();
  if (status.ok()) {
    status = run_handoff();
  }
  if (absl::IsCancelled(status)) {
    fmt::print(stderr, "\nbaton demo: interrupted\n");
    return kInterrupted;
  }
  return conclude(status);
}

}  // namespace

int run_demo(const DemoOptions& options) {
  // Workers whose proxy was killed are killed with it, and become ours to reap: when this returns,
  // no process of the run is left.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const int status = Demo(options).run();
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  return status;
}

}  // namespace baton::demo
