#include <nlohmann/json.hpp>

#include "tools/doctor/report.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

using Json = nlohmann::ordered_json;

Json limit(const std::optional<std::uint64_t>& bytes) {
  return bytes ? Json(*bytes) : Json(nullptr);
}

Json to_json(const transport::ucx::RdmaPort& port, UcxVersion version) {
  const transport::ucx::Gid* const taken =
      port.link_layer == "Ethernet" ? default_gid(port, version) : nullptr;
  Json gids = Json::array();
  for (const auto& gid : port.gids) {
    gids.push_back({{"index", gid.index},
                    {"value", gid.value},
                    {"type", to_string(gid.type)},
                    {"netdev", gid.netdev}});
  }
  return {{"number", port.number},
          {"state", port.state},
          {"physical_state", port.physical_state},
          {"link_layer", port.link_layer},
          {"rate", port.rate},
          {"lid", port.lid},
          {"netdev", port.netdev},
          {"gids", gids},
          {"default_gid_index", taken != nullptr ? Json(taken->index) : Json(nullptr)}};
}

Json devices(const HostFacts& host) {
  Json list = Json::array();
  for (const auto& device : host.rdma_devices) {
    Json ports = Json::array();
    for (const auto& port : device.ports) {
      ports.push_back(to_json(port, host.ucx));
    }
    list.push_back({{"name", device.name},
                    {"node_type", device.node_type},
                    {"driver", device.driver},
                    {"firmware", device.firmware},
                    {"ports", ports}});
  }
  return list;
}

Json verbs_files(const HostFacts& host) {
  Json list = Json::array();
  for (const VerbsFile& file : host.verbs_files) {
    list.push_back({{"path", file.path}, {"device", file.device}, {"opens", file.error == 0}});
  }
  return list;
}

Json huge_pages(const HostFacts& host) {
  Json sizes = Json::array();
  for (const HugePages& pages : host.huge_pages) {
    sizes.push_back(
        {{"page_bytes", pages.page_bytes}, {"total", pages.total}, {"free", pages.free}});
  }
  return {{"sizes", sizes},
          {"transparent", host.transparent_huge_pages},
          {"shmem", host.shmem_huge_pages}};
}

Json ucx(const HostFacts& host) {
  Json environment = Json::object();
  for (const auto& [name, value] : host.ucx_environment) {
    environment[name] = value;
  }
  return {{"version", fmt::format("{}.{}.{}", host.ucx.major, host.ucx.minor, host.ucx.release)},
          {"environment", environment}};
}

Json findings(const Report& report) {
  Json list = Json::array();
  for (const Finding& finding : report.findings) {
    list.push_back({{"level", to_string(finding.level)},
                    {"topic", finding.topic},
                    {"what", finding.what},
                    {"remedy", finding.remedy}});
  }
  return list;
}

Json peer(const Report& report) {
  const PeerFacts& facts = *report.peer;
  Json json{{"host", facts.host},
            {"address", facts.address},
            {"is_own", facts.is_own},
            {"netdev", facts.netdev},
            {"choice", report.verdict.choice},
            {"otherwise", report.verdict.otherwise},
            {"why", report.verdict.why}};
  if (facts.port) {
    json["port"] = *facts.port;
    json["connects"] = facts.answered && facts.answered->ok();
  }
  return json;
}

}  // namespace

std::string json_report(const Report& report) {
  Json json;
  json["format"] = 1;
  json["transports"] = {{"shm", report.plan.shm},
                        {"ucx", report.plan.ucx},
                        {"tcp", report.plan.tcp},
                        {"why_no_ucx", report.plan.why_no_ucx}};
  json["rdma_devices"] = devices(report.host);
  json["verbs_files"] = verbs_files(report.host);
  json["memlock"] = {{"soft_bytes", limit(report.host.memlock.soft_bytes)},
                     {"hard_bytes", limit(report.host.memlock.hard_bytes)},
                     {"exempt", report.host.memlock.exempt}};
  json["huge_pages"] = huge_pages(report.host);
  json["memory_bytes"] = report.host.memory_bytes;
  json["available_bytes"] = report.host.available_bytes;
  json["ucx"] = ucx(report.host);
  if (report.config_path) {
    json["configuration"] = {{"path", *report.config_path}, {"works", !any_error(report.findings)}};
  }
  if (report.peer) {
    json["peer"] = peer(report);
  }
  json["findings"] = findings(report);
  constexpr int kIndent = 2;
  // A path or a host name need not be UTF-8.
  return json.dump(kIndent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace baton::doctor
