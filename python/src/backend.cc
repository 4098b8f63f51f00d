// Backend: PdBackend under the GIL's rules. python/baton/_backend.py makes LMCache's shape of it.
#include <fmt/format.h>
#include <pybind11/stl.h>

#include <condition_variable>
#include <mutex>
#include <string>

#include "baton/pd_backend.h"
#include "python/src/completions.h"
#include "python/src/gil.h"
#include "python/src/handles.h"
#include "python/src/memory.h"
#include "python/src/module.h"
#include "python/src/status.h"
#include "src/config/option_table.h"

namespace py = pybind11;

namespace baton::python {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class PyBackend {
 public:
  PyBackend(const Options& options, const CacheLayout& layout) : held_(make(options, layout)) {}
  ~PyBackend() {
    // Joins the progress thread and drains puts.
    unlocked([this] { held_.reset(); });
  }
  PyBackend(const PyBackend&) = delete;
  PyBackend& operator=(const PyBackend&) = delete;

  PdBackend& get() const { return held_.get(); }
  bool forked() const { return held_.forked(); }

 private:
  static std::unique_ptr<PdBackend> make(const Options& options, const CacheLayout& layout) {
    StatusOr<std::unique_ptr<PdBackend>> backend;
    unlocked([&] { backend = PdBackend::create(options, layout); });
    return value_or_raise(std::move(backend));
  }

  ForkGuard<PdBackend> held_;
};

/// Makes a call that waits again and again, a slice of its time limit each, until it says anything
/// but "deadline exceeded"; Ctrl-C is raised in between. A slice that ended well is never lost.
template <typename Call>
auto in_slices(Milliseconds limit, Call call) {
  const auto deadline = Clock::now() + limit;
  for (;;) {
    const auto left =
        std::max(std::chrono::ceil<Milliseconds>(deadline - Clock::now()), Milliseconds::zero());
    auto result = unlocked([&] { return call(std::min(left, kSlice)); });
    if (result.ok() || result.status().code() != StatusCode::kDeadlineExceeded || left <= kSlice) {
      return value_or_raise(std::move(result));
    }
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
  }
}

template <typename T>
T attribute(const py::handle& spec, const char* name, T otherwise) {
  const py::object value = py::getattr(spec, name, py::none());
  return value.is_none() ? otherwise : value.cast<T>();
}

/// From anything that has the attributes of LMCache's disagg_spec.
TransferSpec to_spec(const py::handle& spec) {
  TransferSpec to;
  to.req_id = py::str(spec.attr("req_id")).cast<std::string>();
  to.attempt = attribute(spec, "attempt", to.attempt);
  to.receiver_host = py::str(spec.attr("receiver_host")).cast<std::string>();
  to.receiver_init_port = spec.attr("receiver_init_port").cast<std::vector<std::uint16_t>>();
  to.receiver_alloc_port = spec.attr("receiver_alloc_port").cast<std::vector<std::uint16_t>>();
  to.receiver_query_port = attribute(spec, "receiver_query_port", to.receiver_query_port);
  to.is_last_prefill = attribute(spec, "is_last_prefill", false);
  to.total_chunks = attribute(spec, "total_chunks", std::uint32_t{0});
  to.timeout = to_ms(attribute(spec, "timeout_sec", std::optional<double>{}));
  return to;
}

using Objects = std::vector<const PyMemoryObj*>;

std::vector<MemoryObj> to_chunks(const Objects& objects) {
  std::vector<MemoryObj> chunks;
  chunks.reserve(objects.size());
  for (const PyMemoryObj* object : objects) {
    if (object == nullptr) {
      raise(absl::InvalidArgumentError(std::string("a memory object is None")));
    }
    chunks.push_back(object->get());
  }
  return chunks;
}

PyPut submit(const PyBackend& self, const std::vector<CacheEngineKey>& keys, const Objects& objects,
             const py::object& spec, const std::shared_ptr<CompletionQueue>& completions,
             std::uint64_t ticket) {
  const std::vector<MemoryObj> chunks = to_chunks(objects);
  auto report = Report(completions, ticket, keys.size());
  auto put = self.get().batched_submit_put_task(
      keys, chunks, to_spec(spec),
      [report = std::move(report)](const CacheEngineKey&, const Status& status) mutable {
        report.key_done(status);
      });
  return PyPut(value_or_raise(std::move(put)));
}

/// Waits in slices. Whoever is interrupted leaves; the read goes on to its end, and holds its
/// objects.
ReadResult read(const PyBackend& self, const std::vector<CacheEngineKey>& keys,
                const Objects& objects, const py::object& spec) {
  const ReadHandle handle =
      value_or_raise(self.get().batched_submit_read_task(keys, to_chunks(objects), to_spec(spec)));
  for (;;) {
    const bool ended = unlocked([&] {
      static_cast<void>(handle.wait(kSlice));
      return handle.done();
    });
    if (ended) {
      return value_or_raise(handle.wait(Milliseconds::zero()));
    }
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
  }
}

/// Whoever is interrupted leaves; what was asked for is given back when it comes.
struct Opening {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<StatusOr<RequestHandle>> opened;
  bool abandoned = false;
};

PyRequestHandle open_request(const PyBackend& self, const py::object& spec,
                             const std::vector<CacheEngineKey>& keys,
                             std::optional<double> timeout_sec, bool in_place) {
  auto shared = std::make_shared<Opening>();
  const RequestSpec request{to_spec(spec), keys, to_ms(timeout_sec), in_place};
  PdBackend& backend = self.get();
  unlocked([&] {
    backend.open_request_async(request, [shared](StatusOr<RequestHandle> opened) {
      const std::lock_guard lock(shared->mutex);
      if (!shared->abandoned) {
        shared->opened = std::move(opened);
        shared->changed.notify_one();
      }
    });
  });
  for (;;) {
    const bool there = unlocked([&] {
      std::unique_lock lock(shared->mutex);
      return shared->changed.wait_for(lock, kSlice, [&] { return shared->opened.has_value(); });
    });
    if (there) {
      return PyRequestHandle(value_or_raise(*std::move(shared->opened)));
    }
    if (PyErr_CheckSignals() != 0) {
      std::optional<StatusOr<RequestHandle>> dropped;
      unlocked([&] {
        const std::lock_guard lock(shared->mutex);
        shared->abandoned = true;
        dropped.swap(shared->opened);
      });
      throw py::error_already_set();
    }
  }
}

void add_sender(py::class_<PyBackend>& backend) {
  backend
      .def(
          "allocate",
          [](const PyBackend& self, const TensorMeta& meta) {
            return PyMemoryObj(value_or_raise(self.get().allocate(meta)), true);
          },
          py::arg("meta"))
      .def(
          "batched_allocate",
          [](const PyBackend& self, const TensorMeta& meta, std::uint32_t count) {
            return wrap(value_or_raise(self.get().batched_allocate(meta, count)), true);
          },
          py::arg("meta"), py::arg("count"))
      .def("submit", &submit, py::arg("keys"), py::arg("memory_objs"), py::arg("spec"),
           py::arg("completions"), py::arg("ticket"))
      .def("read", &read, py::arg("keys"), py::arg("memory_objs"), py::arg("spec"))
      .def("open_request", &open_request, py::arg("spec"), py::arg("keys"), py::arg("timeout_sec"),
           py::arg("in_place"))
      .def("transports_in_use", [](const PyBackend& self) {
        PdBackend& core = self.get();
        return unlocked([&] { return core.transports_in_use(); });
      });
}

void add_receiver(py::class_<PyBackend>& backend) {
  backend
      .def(
          "claim",
          [](const PyBackend& self, const std::string& req_id,
             const std::vector<CacheEngineKey>& keys, double timeout_sec) {
            PdBackend& core = self.get();
            return PyClaim(in_slices(*to_ms(timeout_sec), [&](Milliseconds slice) {
              return core.claim(req_id, keys, slice);
            }));
          },
          py::arg("req_id"), py::arg("keys"), py::arg("timeout_sec"))
      .def(
          "get_blocking",
          [](const PyBackend& self, const CacheEngineKey& key, double timeout_sec) {
            PdBackend& core = self.get();
            return PyMemoryObj(
                in_slices(*to_ms(timeout_sec),
                          [&](Milliseconds slice) { return core.get_blocking(key, slice); }),
                false);
          },
          py::arg("key"), py::arg("timeout_sec"))
      .def(
          "contains",
          [](const PyBackend& self, const CacheEngineKey& key) {
            PdBackend& core = self.get();
            return unlocked([&] { return core.contains(key); });
          },
          py::arg("key"))
      .def(
          "pin",
          [](const PyBackend& self, const CacheEngineKey& key, double lease_sec) {
            PdBackend& core = self.get();
            const Milliseconds lease = *to_ms(lease_sec);
            return unlocked([&] { return core.pin(key, lease); });
          },
          py::arg("key"), py::arg("lease_sec"))
      .def(
          "unpin",
          [](const PyBackend& self, const CacheEngineKey& key) {
            PdBackend& core = self.get();
            return unlocked([&] { return core.unpin(key); });
          },
          py::arg("key"))
      .def(
          "remove",
          [](const PyBackend& self, const CacheEngineKey& key) {
            PdBackend& core = self.get();
            raise_unless_ok(unlocked([&] { return core.remove(key); }));
          },
          py::arg("key"))
      .def("evict_all_retained",
           [](const PyBackend& self) {
             PdBackend& core = self.get();
             return unlocked([&] { return core.evict_all_retained(); });
           })
      .def_property_readonly("init_port",
                             [](const PyBackend& self) { return self.get().init_port(); })
      .def_property_readonly("alloc_port",
                             [](const PyBackend& self) { return self.get().alloc_port(); });
}

std::string role_name(Role role) {
  for (const auto& choice : config::kRoles) {
    if (choice.value == role) {
      return std::string(choice.name);
    }
  }
  return "";
}

Role to_role(const std::string& name) {
  for (const auto& choice : config::kRoles) {
    if (choice.name == name) {
      return choice.value;
    }
  }
  raise(absl::InvalidArgumentError(
      fmt::format("'{}' is no role; known are sender, receiver, both", name)));
}

void add_both(py::class_<PyBackend>& backend) {
  backend
      .def("close",
           [](const PyBackend& self) {
             PdBackend& core = self.get();
             unlocked([&] { core.close(); });
           })
      .def(
          "cancel_request",
          [](const PyBackend& self, const std::string& req_id) {
            PdBackend& core = self.get();
            raise_unless_ok(unlocked([&] { return core.cancel_request(req_id); }));
          },
          py::arg("req_id"))
      .def("stats",
           [](const PyBackend& self) {
             PdBackend& core = self.get();
             return unlocked([&] { return core.stats(); });
           })
      .def("transports", [](const PyBackend& self) { return self.get().transports(); })
      .def_property_readonly("role",
                             [](const PyBackend& self) { return role_name(self.get().role()); })
      .def(
          "change_role",
          [](const PyBackend& self, const std::string& role) {
            PdBackend& core = self.get();
            const Role wanted = to_role(role);
            raise_unless_ok(unlocked([&] { return core.change_role(wanted); }));
          },
          py::arg("role"))
      .def_property_readonly("forked", &PyBackend::forked);
}

void add_stats(py::module_& module) {
  py::class_<BackendStats>(
      module, "BackendStats",
      "Counts at one moment. Pages are the registered buffer's: a sender's staging, "
      "a receiver's pages, and with pd_role: both the receiver's part.")
      .def_readonly("pages_total", &BackendStats::pages_total,
                    "Of the buffer; with pd_role: both, of the receiver's part.")
      .def_readonly("pages_free", &BackendStats::pages_free,
                    "Not in use; some may be promised, or ahead.")
      .def_readonly("pages_reserved", &BackendStats::pages_reserved,
                    "Promised, not yet taken; part of free and retained.")
      .def_readonly("pages_ahead", &BackendStats::pages_ahead,
                    "Receiver: part of the free ones, granted to senders for no chunk yet, and "
                    "asked back when they are needed.")
      .def_readonly("pages_granted", &BackendStats::pages_granted, "Receiver: being written.")
      .def_readonly("pages_held", &BackendStats::pages_held, "Receiver: committed and in use.")
      .def_readonly("pages_retained", &BackendStats::pages_retained,
                    "Receiver: committed cache, evictable.")
      .def_readonly("pages_quarantined", &BackendStats::pages_quarantined,
                    "Receiver: wait for a drain or a fence.")
      .def_readonly("requests", &BackendStats::requests, "Live ones.")
      .def_readonly("requests_waiting", &BackendStats::requests_waiting,
                    "For admission (receiver) or staging (sender).")
      .def_readonly("puts", &BackendStats::puts, "Sender: under way.")
      .def_readonly("reads", &BackendStats::reads, "Sender: under way.")
      .def_readonly("reads_served", &BackendStats::reads_served,
                    "Receiver: by others, whose chunks are held.")
      .def_readonly("staging_pages_total", &BackendStats::staging_pages_total, "Sender.")
      .def_readonly("staging_pages_free", &BackendStats::staging_pages_free, "Sender.")
      .def_readonly("staging_pages_reserved", &BackendStats::staging_pages_reserved, "Sender.")
      .def_readonly("peers", &BackendStats::peers, "Processes that it is connected to.")
      .def_readonly("rejected_messages", &BackendStats::rejected_messages,
                    "Receiver: dropped as nonsense.")
      .def_readonly("peers_cut_off", &BackendStats::peers_cut_off,
                    "Receiver: for sending too much of it.");
}

}  // namespace

void add_backend(py::module_& module) {
  add_stats(module);
  py::class_<CompletionQueue, std::shared_ptr<CompletionQueue>>(
      module, "Completions", "Ends of puts, on their way to the dispatcher.")
      .def(py::init<>())
      .def(
          "take",
          [](const std::shared_ptr<CompletionQueue>& self) {
            const auto taken = unlocked([&] { return self->take(); });
            py::list ends;
            for (const Completion& end : taken) {
              ends.append(py::make_tuple(
                  end.ticket, end.status.ok() ? py::object(py::none()) : to_error(end.status)));
            }
            return ends;
          },
          "Waits for ends of puts: [(ticket, error or None)]. Empty once stopped.")
      .def("stop", &CompletionQueue::stop);
  py::class_<PyBackend> backend(module, "Backend", "The extension's half of a PDBackend.");
  backend.def(py::init([](const ParsedOptions& options, const CacheLayout& layout) {
                return std::make_unique<PyBackend>(options.options, layout);
              }),
              py::arg("options"), py::arg("layout"));
  add_sender(backend);
  add_receiver(backend);
  add_both(backend);
}

}  // namespace baton::python
