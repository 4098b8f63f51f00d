// Options: read from YAML or keywords, then never changed.
#include <pybind11/stl.h>

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "baton/options.h"
#include "python/src/module.h"
#include "python/src/status.h"
#include "src/config/option_table.h"

namespace py = pybind11;

namespace baton::python {
namespace {

template <typename Member>
py::object member_of(const Options& options, Member member) {
  if constexpr (config::ChoiceMember<Member>) {
    for (const auto& choice : config::choices(member)) {
      if (choice.value == options.*member) {
        return py::str(std::string(choice.name));
      }
    }
    return py::none();
  } else if constexpr (std::same_as<Member, std::chrono::milliseconds Options::*>) {
    return py::int_((options.*member).count());
  } else {
    return py::cast(options.*member);
  }
}

/// Nothing for a key that has no member of its own: LMCache's seconds, and what is not used.
py::object value_of(const Options& options, const config::OptionRow& row) {
  return std::visit(
      [&](const auto& target) -> py::object {
        using Target = std::decay_t<decltype(target)>;
        if constexpr (std::is_member_object_pointer_v<Target>) {
          return member_of(options, target);
        } else if constexpr (std::same_as<Target, config::FilePath>) {
          return py::cast(options.*(target.member));
        } else {
          return {};
        }
      },
      row.target);
}

py::dict to_dict(const ParsedOptions& self) {
  py::dict values;
  for (const config::OptionRow& row : config::option_table()) {
    if (const py::object value = value_of(self.options, row)) {
      values[py::str(std::string(row.name))] = value;
    }
  }
  return values;
}

ParsedOptions from_keywords(const py::dict& keywords) {
  // JSON is YAML: one parser checks every value and names what is wrong.
  const py::object text = py::module_::import("json").attr("dumps")(
      keywords, py::arg("default") = py::module_::import("os").attr("fspath"));
  return value_or_raise(parse_options(text.cast<std::string>(), "Options()"));
}

}  // namespace

void add_options(py::module_& module) {
  py::class_<ParsedOptions>(
      module, "Options",
      "A checked configuration. Keywords and attributes are the YAML keys; the README's table has "
      "types, ranges and meanings. Enumerations are strings ('sender'), *_ms are milliseconds, "
      "*_bytes and pd_buffer_size bytes. Never changes; replace() makes another.")
      .def(py::init([](const py::kwargs& values) { return from_keywords(values); }),
           "InvalidArgument names key, value and allowed range.")
      .def_static(
          "from_yaml",
          [](const std::string& text, const std::string& origin, const Environment& environment) {
            return value_or_raise(parse_options(text, origin, environment));
          },
          py::arg("text"), py::arg("origin") = "options", py::arg("environment") = Environment{},
          "From YAML text with LMCache's key names; `origin` is put before error messages. "
          "environment: LMCACHE_* variables, which go before the text.")
      .def_static(
          "from_file",
          [](const py::object& path, const Environment& environment) {
            return value_or_raise(load_options(
                py::module_::import("os").attr("fspath")(path).cast<std::string>(), environment));
          },
          py::arg("path"), py::arg("environment") = Environment{},
          "From a YAML file with LMCache's key names.")
      .def_static(
          "from_environment",
          [](const std::optional<Environment>& environment) {
            return value_or_raise(
                load_options_from_environment(environment.value_or(lmcache_environment())));
          },
          py::arg("environment") = py::none(),
          "LMCache's way to start: the file that LMCACHE_CONFIG_FILE names, if it is set, and the "
          "LMCACHE_<KEY> variables; of this process if none are given.")
      .def(
          "replace",
          [](const ParsedOptions& self, const py::kwargs& changes) {
            py::dict values = to_dict(self);
            values.attr("update")(changes);
            return from_keywords(values);
          },
          "The same options, but for the keywords that are given.")
      .def(
          "validate", [](const ParsedOptions& self) { raise_unless_ok(self.options.validate()); },
          "Options are checked when they are made; this checks them again.")
      .def("to_dict", &to_dict, "Every key with its value.")
      .def_readonly("notes", &ParsedOptions::notes,
                    "On keys that were given and mean nothing here.")
      .def(
          "__getattr__",
          [](const ParsedOptions& self, const std::string& name) {
            for (const config::OptionRow& row : config::option_table()) {
              if (row.name == name) {
                if (py::object value = value_of(self.options, row)) {
                  return value;
                }
              }
            }
            throw py::attribute_error("Options has no key '" + name + "'");
          },
          py::arg("name"))
      .def("__dir__",
           [](const py::object& self) {
             py::list names =
                 py::module_::import("builtins")
                     .attr("list")(
                         py::module_::import("builtins").attr("object").attr("__dir__")(self));
             names.attr("extend")(self.attr("to_dict")());
             return names;
           })
      .def(
          "__eq__",
          [](const ParsedOptions& self, const py::object& other) {
            return py::isinstance<ParsedOptions>(other) &&
                   to_dict(self).equal(to_dict(other.cast<const ParsedOptions&>()));
          },
          py::arg("other"))
      .def("__repr__",
           [](const ParsedOptions& self) {
             return "Options(**" + py::repr(to_dict(self)).cast<std::string>() + ")";
           })
      .def(py::pickle([](const ParsedOptions& self) { return to_dict(self); }, &from_keywords));
}

}  // namespace baton::python
