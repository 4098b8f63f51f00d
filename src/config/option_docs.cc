#include "src/config/option_docs.h"

#include "src/config/option_table.h"
#include "src/config/option_text.h"

namespace baton {

std::vector<OptionDoc> option_docs() {
  std::vector<OptionDoc> docs;
  for (const config::OptionRow& row : config::option_table()) {
    docs.push_back({.name = std::string(row.name),
                    .type = config::type_text(row),
                    .default_value = config::default_text(row),
                    .range = config::range_text(row),
                    .meaning = std::string(row.meaning),
                    .origin = row.origin == config::Origin::kLmcache ? "lmcache" : "baton"});
  }
  return docs;
}

}  // namespace baton
