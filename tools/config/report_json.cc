#include <nlohmann/json.hpp>
#include <string>

#include "src/config/option_text.h"
#include "tools/config/check.h"

namespace baton::config {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Place& place) {
  switch (place.source) {
    case Source::kDefault:
      return {{"source", "default"}};
    case Source::kFile:
      return {{"source", "file"}, {"name", place.name}, {"line", place.line}};
    case Source::kEnvironment:
      return {{"source", "environment"}, {"name", place.name}};
  }
  return nullptr;
}

Json settings(const Resolution& resolution) {
  Json list = Json::array();
  for (const Setting& setting : resolution.settings) {
    list.push_back({{"key", setting.row->name},
                    {"value", value_text(*setting.row, resolution.options)},
                    {"unit", unit_text(*setting.row)},
                    {"from", to_json(setting.place)},
                    {"refused", setting.refused},
                    {"type", type_text(*setting.row)},
                    {"range", range_text(*setting.row)},
                    {"default", default_text(*setting.row)},
                    {"meaning", setting.row->meaning}});
  }
  return list;
}

}  // namespace

std::string to_json(const Checked& checked) {
  Json errors = Json::array();
  Json json = {{"format", 1}, {"origin", checked.origin}, {"starts", checked.starts()}};
  if (!checked.result.ok()) {
    errors.push_back(std::string(checked.result.status().message()));
  } else {
    for (const Status& error : checked.result->errors) {
      errors.push_back(std::string(error.message()));
    }
    json["settings"] = settings(*checked.result);
    json["meaningless"] = Json::array();
    for (const Meaningless& one : checked.result->meaningless) {
      json["meaningless"].push_back({{"from", to_json(one.place)}, {"why", one.why}});
    }
    json["notes"] = checked.result->notes;
  }
  json["errors"] = errors;
  // Names from outside may be no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace baton::config
