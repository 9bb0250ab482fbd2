# SPDX-License-Identifier: BSD-3-Clause
# For daily work.  ./run and ./test are the front door and need no make.
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

help:
	@echo 'make build     compile into $(BUILD)/'
	@echo 'make run       ./run: the main job on real guests'
	@echo 'make test      ./test: all tests'
	@echo 'make test-guest   the driver on each kernel, under each host: long'
	@echo 'make coverage  all tests, then the lines they reached'
	@echo 'make bench     the figures: the command beside virsh, the device beside others, the'
	@echo '               driver beside the in-tree one, the policy beside others, the daemon;'
	@echo '               PART=command, device, driver, policy or daemon for one of them,'
	@echo '               QUICK=1 to see it work, ROUNDS=N'
	@echo 'make check     format and static checks'
	@echo 'make fuzz      the fuzzers, FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make format    apply the format'
	@echo 'make lab       two guests to try the command on, until Ctrl-C'
	@echo 'make guest     the guest driver for the running kernel; RELEASE= or KDIR= for another'
	@echo 'make install-guest   build it by dkms and install it, on a guest'
	@echo 'make install   PREFIX=$(PREFIX), DESTDIR'
	@echo 'make clean     remove what was built (make distclean: the lab, too)'

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

# The module goes by kbuild, on the guest that is to have it; ./test builds it for the lab.
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
