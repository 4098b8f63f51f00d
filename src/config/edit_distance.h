#pragma once

#include <cstddef>
#include <string_view>

namespace baton::config {

/// Letters to insert, delete or exchange to make `b` of `a` (Levenshtein). Takes time in proportion
/// to the product of their lengths: for names, not for texts.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace baton::config
