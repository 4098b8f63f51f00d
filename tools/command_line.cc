#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <string>

namespace baton {
namespace {

constexpr std::uint32_t kMinChunkTokens = 64;  // narrower ones give other KV bits
constexpr int kMaxTimeoutSeconds = 86'400;

void add_faults(CLI::App& demo, demo::Fault& fault) {
  auto* group = demo.add_option_group(
      "Controls", "Each damages one chunk, must be caught, and ends with exit status 1");
  const auto add = [&](const char* name, demo::Fault value, const char* help) {
    group->add_flag_callback(
        name, [&fault, value] { fault = value; }, help);
  };
  add("--corrupt", demo::Fault::kCorrupt, "Flip a byte between remote completion and verification");
  add("--corrupt-after-commit", demo::Fault::kCorruptAfterCommit,
      "Flip a byte after the commit (the decoders run with pd_integrity: paranoid)");
  add("--drop-put", demo::Fault::kDropPut, "Leave out the write of one chunk, and nothing else");
  group->require_option(0, 1);
}

void add_demo(CLI::App& app, demo::DemoOptions& options, int& timeout_seconds) {
  CLI::App& demo = *app.add_subcommand(
      "demo",
      "Run a handoff between real processes and compare it, bit by bit, with a run in one process");
  demo.footer(
      "put_ms is from the first put's submission to the end of the last, by the prefiller's "
      "clock;\n"
      "ttft_ms from the dispatch to the prefiller to the first token at the proxy.\n\n"
      "Exit status: 0 if all requests are identical and no page is lost, 1 if not, 2 for wrong\n"
      "arguments, 130 when interrupted.\n\n"
      "Example:\n  baton demo --prefillers 2 --decoders 2 --transport tcp --json demo.json");
  demo.add_option("--prefillers", options.prefillers, "Prefill processes")
      ->check(CLI::Range(1U, demo::kMaxWorkers))
      ->capture_default_str();
  demo.add_option("--decoders", options.decoders, "Decode processes")
      ->check(CLI::Range(1U, demo::kMaxWorkers))
      ->capture_default_str();
  demo.add_option("--model", options.model,
                  "A GGUF file of the llama architecture (default: a tiny one with random weights, "
                  "written on first use)");
  demo.add_option("--transport", options.transport, "auto, shm or tcp")
      ->check(CLI::IsMember({"auto", "shm", "tcp"}))
      ->capture_default_str();
  demo.add_option("--json", options.json, "Write the results to this file, too");
  demo.add_option("--requests", options.requests, "Requests, second turns included")
      ->check(CLI::Range(1U, demo::kMaxRequests))
      ->capture_default_str();
  demo.add_option("--tokens", options.tokens, "Tokens to generate for each request")
      ->check(CLI::Range(1U, demo::kMaxTokens))
      ->capture_default_str();
  demo.add_option("--chunk-size", options.chunk_tokens, "Tokens in a chunk")
      ->check(CLI::Range(kMinChunkTokens, demo::kMaxChunkTokens))
      ->capture_default_str();
  demo.add_option("--timeout", timeout_seconds, "Seconds that the whole run may take")
      ->check(CLI::Range(1, kMaxTimeoutSeconds))
      ->capture_default_str();
  add_faults(demo, options.fault);
}

}  // namespace

Command parse_command_line(int argc, char** argv) {
  CLI::App app("Baton hands the KV cache of LLM requests from prefill to decode processes",
               "baton");
  app.set_version_flag("--version", std::string("baton ") + BATON_VERSION);
  app.require_subcommand(1);
  app.footer("Example:\n  baton demo --transport shm");
  demo::DemoOptions options;
  auto timeout_seconds = static_cast<int>(options.timeout.count());
  add_demo(app, options, timeout_seconds);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitNow{app.exit(error) == 0 ? 0 : kUsageError};
  }
  options.timeout = std::chrono::seconds(timeout_seconds);
  return options;
}

}  // namespace baton
