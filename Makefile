# Baton's commands. `make` alone lists them. Needs only git and make; the rest is installed.
.DEFAULT_GOAL := help
.PHONY: help deps build demo bench install deb test test-sanitizers sim plants soak fuzz rdma-test rdma-hosts-test format tidy clean

NINJA := ninja

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

deps: ## install the Debian packages that are missing
	@scripts/install-deps.sh

build/build.ninja: | deps
	cmake --preset release

build-%/build.ninja: | deps
	cmake --preset $*

build: deps build/build.ninja ## build the command build/bin/baton
	$(NINJA) -C build baton

demo: build ## hand KV caches over between real processes and check every token
	build/bin/baton demo

bench: build ## measure the handoff beside what this machine can do (at most 20 minutes); then see docs/performance.md
	build/bin/baton bench all --json build/bench.json
	scripts/plot-bench.py build/bench.json docs/performance.md docs/bench

PREFIX ?= /usr/local
install: deps build/build.ninja ## install the library, its headers and the command under PREFIX (default /usr/local)
	$(NINJA) -C build installable
	cmake --install build --prefix $(PREFIX)

deb: deps build/build.ninja ## make the Debian packages libbaton, libbaton-dev and baton in build/packages/ (not of a build with NIXL)
	@! grep -qE '^BATON_WITH_NIXL:BOOL=(ON|1|TRUE|YES)$$' build/CMakeCache.txt || \
	  { echo "make deb: build/ has BATON_WITH_NIXL=ON, and NIXL is in no package that these could depend on" >&2; exit 1; }
	$(NINJA) -C build installable
	cd build && cpack -B packages
	@ls build/packages/*.deb

test: build ## build and run every test
	$(NINJA) -C build
	@scripts/ctest.sh release -j2

test-sanitizers: test-asan-ubsan test-tsan ## run the tests under ASan+UBSan and under TSan

.PHONY: test-asan-ubsan test-tsan
test-asan-ubsan test-tsan: test-%: build-%/build.ninja
	$(NINJA) -C build-$*
	@scripts/ctest.sh $* -j2

FUZZ_SECONDS ?= 60
fuzz: deps ## fuzz every decoder for FUZZ_SECONDS each (default 60)
	@scripts/install-deps.sh clang-16 libclang-rt-16-dev
	cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++-16 -DBATON_FUZZ=ON \
	  -DBATON_PRECOMPILE=OFF -DBATON_WITH_LLAMA=OFF
	$(NINJA) -C build-fuzz fuzz_programs
	scripts/fuzz.sh $(FUZZ_SECONDS)

sim: deps build/build.ninja ## simulate 20,000 seeds; one of them, with its history: build/bin/baton-sim --seed 17 --verbose
	$(NINJA) -C build baton-sim
	scripts/simulate.sh 20000

plants: deps build/build.ninja ## break the logic in each known way; one: build/bin/baton-sim-plants --plant free-before-fence --seeds 1..2000
	$(NINJA) -C build baton-sim-plants
	scripts/find-plants.sh 2000

ROUNDS ?= 100
soak: deps build/build.ninja ## kill processes under load for ROUNDS rounds on each transport (default 100)
	$(NINJA) -C build baton-soak
	build/bin/baton-soak --rounds $(ROUNDS) --transport shm
	build/bin/baton-soak --rounds $(ROUNDS) --transport tcp
	build/bin/baton-soak --rounds $(ROUNDS) --ranks 2

SUITE ?=
rdma-test: deps build/build.ninja ## run Baton over RDMA (soft-RoCE) in a virtual machine; one suite: SUITE=conformance
	$(NINJA) -C build rdma_test_programs
	@tests/rdma/run.sh $(if $(SUITE),--suite $(SUITE))

rdma-hosts-test: deps build/build.ninja ## run Baton over RDMA between two virtual machines, one of which is killed
	$(NINJA) -C build rdma_test_programs
	@tests/rdma/hosts.sh

format: ## rewrite all C++ sources with clang-format
	@scripts/install-deps.sh clang-format-16
	git ls-files '*.h' '*.cc' | xargs clang-format-16 -i

tidy: deps ## check formatting and run clang-tidy over all C++ sources (takes half an hour)
	@scripts/install-deps.sh clang-16 clang-format-16 clang-tidy-16
	cmake -S . -B build-tidy -G Ninja -DCMAKE_CXX_COMPILER=clang++-16 -DBATON_PRECOMPILE=OFF
	scripts/lint.sh

clean: ## remove the build folders
	rm -rf build build-asan-ubsan build-tsan build-tidy build-fuzz
