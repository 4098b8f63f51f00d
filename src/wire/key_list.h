// The keys of a message, one after the other in one piece of memory.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace baton::wire {

/// Like a vector of strings that can only grow, but two allocations however many keys there are: a
/// message has thousands. At most 4 GiB of text.
class KeyList {
 public:
  using value_type = std::string_view;

  class Iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    Iterator() = default;
    Iterator(const KeyList& keys, std::size_t at) : keys_(&keys), at_(at) {}

    std::string_view operator*() const { return (*keys_)[at_]; }
    std::string_view operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator+=(difference_type n) {
      at_ += static_cast<std::size_t>(n);
      return *this;
    }
    Iterator& operator-=(difference_type n) { return *this += -n; }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this -= 1; }
    Iterator operator++(int) {
      const Iterator old = *this;
      ++*this;
      return old;
    }
    Iterator operator--(int) {
      const Iterator old = *this;
      --*this;
      return old;
    }
    friend Iterator operator+(Iterator it, difference_type n) { return it += n; }
    friend Iterator operator+(difference_type n, Iterator it) { return it += n; }
    friend Iterator operator-(Iterator it, difference_type n) { return it -= n; }
    friend difference_type operator-(const Iterator& a, const Iterator& b) {
      return static_cast<difference_type>(a.at_) - static_cast<difference_type>(b.at_);
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }
    friend auto operator<=>(const Iterator& a, const Iterator& b) { return a.at_ <=> b.at_; }

   private:
    const KeyList* keys_ = nullptr;
    std::size_t at_ = 0;
  };
  using const_iterator = Iterator;

  KeyList() = default;
  // Implicit, as a braced list of strings is for a vector of them.
  KeyList(std::initializer_list<std::string_view> keys) : KeyList(keys.begin(), keys.end()) {}
  KeyList(const std::vector<std::string>& keys)  // NOLINT(google-explicit-constructor)
      : KeyList(keys.begin(), keys.end()) {}
  template <typename It>
  KeyList(It first, It last) {
    for (; first != last; ++first) {
      push_back(*first);
    }
  }

  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  /// All keys, without anything between them.
  std::string_view text() const { return text_; }

  /// Valid until the list changes.
  std::string_view operator[](std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(text_).substr(begin, ends_[index] - begin);
  }
  std::string_view front() const { return (*this)[0]; }
  std::string_view back() const { return (*this)[size() - 1]; }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

  void reserve(std::size_t keys, std::size_t bytes) {
    ends_.reserve(keys);
    text_.reserve(bytes);
  }
  void push_back(std::string_view key) {
    text_ += key;
    ends_.push_back(static_cast<std::uint32_t>(text_.size()));
  }
  /// The same, of a key in three pieces.
  void push_back(std::string_view before, std::string_view middle, std::string_view behind) {
    text_ += before;
    text_ += middle;
    text_ += behind;
    ends_.push_back(static_cast<std::uint32_t>(text_.size()));
  }
  void clear() {
    text_.clear();
    ends_.clear();
  }

  bool operator==(const KeyList&) const = default;

 private:
  std::string text_;
  std::vector<std::uint32_t> ends_;
};

}  // namespace baton::wire
