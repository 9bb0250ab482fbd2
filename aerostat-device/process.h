/* SPDX-License-Identifier: BSD-3-Clause */
/* The device process, from the command line to its end. */
#ifndef AEROSTAT_TRANSPORT_PROCESS_H
#define AEROSTAT_TRANSPORT_PROCESS_H

#include "aerostat-device/options.h"

enum device_exit { DEVICE_DONE, DEVICE_FAILED, DEVICE_USAGE };

/* Serves until it is told to end, or its VMM has left. */
enum device_exit process_run(const struct device_options *options);

#endif
