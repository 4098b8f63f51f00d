// Small valid inputs for the fuzz targets, made by the encoders of today.
#pragma once

#include <map>
#include <string>

namespace baton::fuzz {

/// File names and contents.
using Seeds = std::map<std::string, std::string>;

Seeds receiver_seeds();
Seeds sender_seeds();

}  // namespace baton::fuzz
