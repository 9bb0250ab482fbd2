/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/balloon.h"
