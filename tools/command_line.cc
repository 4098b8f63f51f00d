#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

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
  demo.add_option("--transport", options.transport,
                  "auto, shm, ucx (RDMA), tcp, or nixl (if Baton was built with it)")
      ->check(CLI::IsMember({"auto", "shm", "ucx", "tcp", "nixl"}))
      ->capture_default_str();
  demo.add_flag("--insecure-data-plane", options.insecure_data_plane,
                "Let ucx and nixl write over TCP where there is no RDMA, as an experiment");
  demo.add_option("--ucx-devices", options.ucx_devices,
                  "RDMA devices for the workers, in turn, prefillers first: mlx5_0:1,mlx5_1:1 "
                  "(default: UCX chooses)")
      ->delimiter(',');
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

struct KeyOptions {
  GenerateKeys generate;
  ShowKey show;
  std::string role = "any";
};

void add_keys(CLI::App& app, KeyOptions& options) {
  CLI::App& keys = *app.add_subcommand("keys", "Make and show the keys of pd_security: curve");
  keys.require_subcommand(1);
  keys.footer("Example:\n  baton keys generate --name decode-1 --role receiver --address 10.0.0.7");

  CLI::App& generate =
      *keys.add_subcommand("generate", "Write NAME.secret (mode 0600) and NAME.public");
  generate.footer(
      "Example, on the machine that the key is for:\n"
      "  baton keys generate --out /etc/baton --name decode-1 --role receiver --address "
      "10.0.0.7\n\n"
      "Exit status: 0 if both files were written, 1 if not, 2 for wrong arguments.");
  generate.add_option("--out", options.generate.dir, "Directory for the files")
      ->capture_default_str();
  generate.add_option("--name", options.generate.name, "Whose key this is: a process or a machine")
      ->capture_default_str();
  generate.add_option("--role", options.role, "What the owner of the key may be")
      ->check(CLI::IsMember({"sender", "receiver", "proxy", "any"}))
      ->capture_default_str();
  generate.add_option("--address", options.generate.addresses,
                      "Where senders reach the owner, if it is a receiver or a proxy: HOST, "
                      "HOST:PORT, or '*' for any; may be given several times");
  generate.add_flag("--force", options.generate.force, "Replace files that are there");

  CLI::App& show = *keys.add_subcommand("show",
                                        "Print the public key of a .secret file, or check "
                                        "a list of public keys");
  show.footer("Example:\n  baton keys show /etc/baton/decode-1.secret");
  show.add_option("FILE", options.show.path, "A .secret file, a .public file, or a list of keys")
      ->required();
}

struct DoctorArguments {
  std::string config;
  std::string peer;
  bool json = false;
};

void add_doctor(CLI::App& app, DoctorArguments& arguments) {
  CLI::App& doctor = *app.add_subcommand(
      "doctor", "Say what this host has for handing KV caches over, what is wrong, and what to do");
  doctor.footer(
      "Run it as the user, with the limits and in the container of the backend. It changes "
      "nothing;\n"
      "a receiver's ports are bound for a moment and given back.\n\n"
      "Exit status: 1 if the configuration can't work here, 2 for wrong arguments, else 0.\n\n"
      "Example:\n  baton doctor --config /etc/baton/decode.yaml --peer 10.0.0.7:7300");
  doctor.add_option("--config", arguments.config,
                    "Check this configuration (YAML, as a backend reads it) against this host");
  doctor
      .add_option("--peer", arguments.peer,
                  "HOST, HOST:PORT or [IPV6]:PORT: say what Baton will choose for it and why; "
                  "with a port, connect to it for at most 2 seconds")
      ->check([](const std::string& text) {
        return std::string(doctor::parse_peer(text).status().message());
      });
  doctor.add_flag("--json", arguments.json, "Print one JSON object (docs/doctor.md)");
}

void add_bench(CLI::App& app, bench::BenchOptions& options) {
  CLI::App& bench = *app.add_subcommand(
      "bench", "Measure the handoff beside what this machine could do, between real processes");
  bench.footer(
      "Every case takes interleaved pairs of samples, Baton's and a reference's, and fixes "
      "transport,\n"
      "integrity and poll mode: the JSON file has them, every sample, and each process's CPU\n"
      "seconds. docs/performance.md says what is measured and how to read it. Large cases need up "
      "to\n"
      "5 GB of memory.\n\n"
      "Exit status: 0 if all was measured, 1 if something failed, 2 for wrong arguments, 130 when\n"
      "interrupted.\n\n"
      "Examples:\n  baton bench put --json put.json\n"
      "  baton bench latency --case latency_4k --poll busy\n"
      "  baton bench all --quick");
  bench
      .add_option("GROUP", options.group, "Which cases: put, latency, control, scale, idle, or all")
      ->required()
      ->check(CLI::IsMember({"put", "latency", "control", "scale", "idle", "all"}));
  bench.add_option("--case", options.cases, "Only these cases of the group")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>(bench::kCases.begin(), bench::kCases.end())));
  bench.add_option("--json", options.json, "Write the results to this file, too");
  bench.add_option("--pairs", options.pairs, "Pairs of samples (default: 21)")
      ->check(CLI::Range(bench::kMinPairs, bench::kMaxPairs));
  bench
      .add_option_function<std::string>(
          "--poll",
          [&options](const std::string& mode) {
            options.latency_poll =
                mode == "busy" ? bench::PollMode::kBusy : bench::PollMode::kSleep;
          },
          "Latency cases: sleep or busy (default: sleep), for Baton and the references that "
          "can")
      ->check(CLI::IsMember({"sleep", "busy"}));
  bench
      .add_option("--ping-channel", options.ping_channel,
                  "latency_4k: the channel that the ping-pong takes: zmq, unix or tcp")
      ->check(CLI::IsMember({"zmq", "unix", "tcp"}))
      ->capture_default_str();
  bench
      .add_option("--control-channel", options.control_channel,
                  "control_4096: over a shm connection's lane, or over ZeroMQ as with tcp: lane or "
                  "zmq")
      ->check(CLI::IsMember({"lane", "zmq"}))
      ->capture_default_str();
  bench.add_flag("--quick", options.quick,
                 "Small buffers and few samples: shows that everything runs, measures nothing");
}

struct ConfigArguments {
  std::string file;
  config::CheckConfig check;
};

void add_config(CLI::App& app, ConfigArguments& arguments) {
  CLI::App& group = *app.add_subcommand("config", "Explain a configuration");
  group.require_subcommand(1);
  group.footer("Example:\n  baton config check lmcache-decoder-config.yaml --env");
  CLI::App& check = *group.add_subcommand(
      "check", "Say what every key is set to, by what, and whether a backend starts with it");
  check.footer(
      "LMCache's files are understood as they are, old names included (docs/configuration.md).\n\n"
      "Exit status: 0 if a backend starts with it, 1 if not, 2 for wrong arguments.\n\n"
      "Examples:\n  baton config check lmcache-decoder-config.yaml\n"
      "  LMCACHE_PD_BUFFER_DEVICE=cpu baton config check lmcache-decoder-config.yaml --env");
  check.add_option("FILE", arguments.file,
                   "YAML, as a backend reads it (default with --env: what LMCACHE_CONFIG_FILE "
                   "names, if anything)");
  check.add_flag("--env", arguments.check.env,
                 "Let LMCACHE_* variables override the file, as they do for a backend that LMCache "
                 "starts");
  check.add_flag("--json", arguments.check.json, "Print one JSON object (docs/configuration.md)");
  check.callback([&arguments, &check] {
    if (check.count("FILE") > 0) {
      arguments.check.path = arguments.file;
    } else if (!arguments.check.env) {
      throw CLI::RequiredError("FILE or --env");
    }
  });
}

doctor::DoctorOptions to_options(const CLI::App& chosen, const DoctorArguments& arguments) {
  doctor::DoctorOptions options;
  options.json = arguments.json;
  if (chosen.count("--config") > 0) {
    options.config = arguments.config;
  }
  if (chosen.count("--peer") > 0) {
    options.peer = doctor::parse_peer(arguments.peer).value();
  }
  return options;
}

}  // namespace

Command parse_command_line(int argc, char** argv) {
  CLI::App app("Baton hands the KV cache of LLM requests from prefill to decode processes",
               "baton");
  app.set_version_flag("--version", std::string("baton ") + BATON_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  baton demo --transport shm\n  baton keys generate --name prefill-1 --role "
      "sender");
  demo::DemoOptions options;
  auto timeout_seconds = static_cast<int>(options.timeout.count());
  add_demo(app, options, timeout_seconds);
  KeyOptions keys;
  add_keys(app, keys);
  DoctorArguments doctor;
  add_doctor(app, doctor);
  ConfigArguments config;
  add_config(app, config);
  bench::BenchOptions bench;
  add_bench(app, bench);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitNow{app.exit(error) == 0 ? 0 : kUsageError};
  }
  if (CLI::App* const chosen = app.get_subcommand("keys"); chosen->parsed()) {
    if (chosen->get_subcommand("show")->parsed()) {
      return keys.show;
    }
    keys.generate.role = security::parse_role(keys.role).value();
    return keys.generate;
  }
  if (app.get_subcommand("bench")->parsed()) {
    return bench;
  }
  if (app.get_subcommand("config")->parsed()) {
    return config.check;
  }
  if (CLI::App* const chosen = app.get_subcommand("doctor"); chosen->parsed()) {
    return to_options(*chosen, doctor);
  }
  options.timeout = std::chrono::seconds(timeout_seconds);
  return options;
}

}  // namespace baton
