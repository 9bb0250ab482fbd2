# SPDX-License-Identifier: BSD-3-Clause
# Shortcuts for daily work.  ./run and ./test do not need make.
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

help:
	@echo 'make build     compile into $(BUILD)/'
	@echo 'make run       show the main job on real guests (./run)'
	@echo 'make test      run all tests (./test)'
	@echo 'make test-guest   test the guest driver on every kernel and host (slow)'
	@echo 'make coverage  run all tests, then report which lines they reached'
	@echo 'make bench     compare the command with virsh, and device, driver and policy'
	@echo '               with others; measure the daemon'
	@echo '               PART=command, device, driver, policy, daemon or relief: only this part'
	@echo '               QUICK=1: only see that it works; ROUNDS=N: number of rounds'
	@echo 'make check     check the format and run static checks'
	@echo 'make fuzz      run each fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS) seconds'
	@echo 'make format    format the C sources'
	@echo 'make lab       run two guests to try the command on, until Ctrl-C'
	@echo 'make guest     build the guest driver for this kernel, or for RELEASE= or KDIR='
	@echo 'make install-guest   build and install the guest driver with dkms, in a guest'
	@echo 'make install   install into PREFIX=$(PREFIX), below DESTDIR if set'
	@echo 'make clean     remove what was built'
	@echo 'make distclean also remove the caches of the lab'

build:
	@. scripts/common.sh && install_packages build && build_tree $(BUILD)

run test:
	@./$@

test-guest:
	@./test --long -k test_driver

coverage:
	@./test --coverage

bench lab: build
	@. scripts/common.sh && install_packages lab && \
	case $@ in \
	bench) exec /usr/bin/python3 -m bench --build $(BUILD) \
		$(if $(PART),--part $(PART)) $(if $(QUICK),--quick) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) ;; \
	lab) exec /usr/bin/python3 -m lab --build $(BUILD) up ;; \
	esac

check format:
	@scripts/$@

fuzz:
	@scripts/fuzz $(FUZZ_SECONDS)

install: build
	/usr/bin/meson configure $(BUILD) --prefix $(PREFIX)
	/usr/bin/meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(DESTDIR))

# kbuild builds the module, on the guest that will load it; ./test builds it for the lab.
guest:
	$(MAKE) -C guest

install-guest:
	$(MAKE) -C guest dkms

clean:
	find $(BUILD) $(BUILD)-* -mindepth 1 -maxdepth 1 ! -name lab -exec rm -rf {} + 2>/dev/null || true

distclean:
	rm -rf $(BUILD) $(BUILD)-*

.PHONY: help build run test test-guest coverage bench lab check format fuzz guest install-guest \
	install clean distclean
