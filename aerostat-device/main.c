/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat-device: a virtio balloon in a process of its own. */
#include <stdio.h>

#include "aerostat-device/process.h"
#include "aerostat-device/systemd.h"

static enum device_exit usage(const char *complaint)
{
	fprintf(stderr, "error: %s\n", complaint);
	return DEVICE_USAGE;
}

/* Text for people went out, or did not. */
static enum device_exit printed(void)
{
	return fflush(stdout) || ferror(stdout) ? DEVICE_FAILED : DEVICE_DONE;
}

static enum device_exit serve(struct device_options *options)
{
	int vmm = -1, control = -1;

	systemd_fds(&vmm, &control);
	if (!options->socket_path && options->fd < 0)
		options->fd = vmm;
	if (!options->control_path && options->control_fd < 0)
		options->control_fd = control;
	if (!options->socket_path && options->fd < 0)
		return usage("say where the VMM will connect: --socket-path=PATH, or --fd=N; "
			     "--help shows examples");
	return process_run(options);
}

int main(int argc, char **argv)
{
	struct device_options options;

	if (!device_options_parse(&options, argc, argv))
		return usage(options.complaint);
	switch (options.order) {
	case ORDER_HELP:
		device_options_help(stdout);
		return printed();
	case ORDER_VERSION:
		puts("aerostat-device " AEROSTAT_VERSION);
		return printed();
	case ORDER_CAPABILITIES:
		device_options_capabilities(stdout);
		return printed();
	case ORDER_SERVE:
		break;
	}
	return serve(&options);
}
