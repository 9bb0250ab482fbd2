/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/manager.h"
