// The configuration's documentation, from the table that also parses it.
#pragma once

#include <string>
#include <vector>

namespace baton {

struct OptionDoc {
  std::string name;
  std::string type;           ///< "int", "sender | receiver", …
  std::string default_value;  ///< empty: none
  std::string range;          ///< empty: whatever the type holds
  std::string meaning;
  std::string origin;  ///< "lmcache" or "baton": who invented the key
};

/// One for each key, LMCache's first.
std::vector<OptionDoc> option_docs();

}  // namespace baton
