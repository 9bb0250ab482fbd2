/* SPDX-License-Identifier: BSD-3-Clause */
/* What the verbs share that ask aerostatd: its client, and the option that names its socket. */
#ifndef AEROSTAT_DAEMON_H
#define AEROSTAT_DAEMON_H

#include "aerostat/cli.h"
#include "api_client/client.h"

/* A row of a verb's options; @socket: a char * for daemon_client_new(). */
#define SOCKET_ENTRY(socket)                                                                       \
	{                                                                                          \
		"socket", 0, 0, G_OPTION_ARG_FILENAME, &(socket),                                  \
			"the socket that aerostatd listens on", "PATH"                             \
	}

#endif
