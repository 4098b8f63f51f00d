// The last few of many: a set that forgets its oldest members.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_set>

namespace baton::control {

class RecentSet {
 public:
  explicit RecentSet(std::size_t capacity) : capacity_(capacity) {}

  void insert(const std::string& member) {
    if (!members_.insert(member).second) {
      return;
    }
    order_.push_back(member);
    if (order_.size() > capacity_) {
      members_.erase(order_.front());
      order_.pop_front();
    }
  }
  bool contains(const std::string& member) const { return members_.contains(member); }

 private:
  const std::size_t capacity_;
  std::unordered_set<std::string> members_;
  std::deque<std::string> order_;
};

}  // namespace baton::control
