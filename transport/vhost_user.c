/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/transport.h"
