#include "tools/doctor/doctor.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <utility>

#include "src/base/text.h"
#include "tools/doctor/probe.h"
#include "tools/doctor/report.h"

namespace baton::doctor {
namespace {

void append(Findings& to, Findings from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

Report examine(const DoctorOptions& options) {
  Report report;
  report.host = probe_host();
  report.config_path = options.config;
  Options configured;
  std::optional<ConfigFacts> config;
  if (options.config) {
    config = probe_config(*options.config, report.host);
    configured = config->parsed.ok() ? config->parsed->options : configured;
  }
  report.plan = plan_transports(report.host, configured);
  if (report.plan.ucx) {
    report.host.ucx_opened = probe_ucx(report.plan.ucx_over_rdma, configured);
    report.plan = plan_transports(report.host, configured);
  }
  report.findings = judge_rdma(report.host);
  report.findings.push_back(judge_huge_pages(report.host));
  append(report.findings,
         config ? judge_config(report.host, *config) : judge_defaults(report.host));
  if (options.peer) {
    report.peer = probe_peer(options.peer->host, options.peer->port, report.host);
    report.verdict = judge_peer(report.host, configured, *report.peer);
    append(report.findings, report.verdict.findings);
  }
  return report;
}

}  // namespace

StatusOr<Peer> parse_peer(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        fmt::format("{} is no peer: {}; give HOST, HOST:PORT or [IPV6]:PORT", quote(text), why));
  };
  std::string_view host = text;
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return refuse("']' is missing");
    }
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') {
      return refuse("only :PORT may follow ']'");
    }
    port = rest.empty() ? std::nullopt : std::optional(rest.substr(1));
  } else if (text.find(':') == text.rfind(':') && text.find(':') != std::string_view::npos) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  constexpr std::size_t kMaxHostBytes = 253;
  if (host.empty() || host.size() > kMaxHostBytes) {
    return refuse("a host has 1 to 253 bytes");
  }
  Peer peer{std::string(host), std::nullopt};
  if (port) {
    std::uint16_t number = 0;
    const char* const end = port->data() + port->size();
    const auto [stop, error] = std::from_chars(port->data(), end, number);
    if (error != std::errc{} || stop != end || number == 0) {
      return refuse("a port is 1 to 65535");
    }
    peer.port = number;
  }
  return peer;
}

int run_doctor(const DoctorOptions& options) {
  const Report report = examine(options);
  const std::string text = options.json ? json_report(report) : text_report(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return options.config && any_error(report.findings) ? 1 : 0;
}

}  // namespace baton::doctor
