/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The private command by which our device asks for a trim.  docs/device.md describes it;
 * device/balloon.h has the same numbers.
 */
#ifndef GUEST_PRIVATE_TRIM_H
#define GUEST_PRIVATE_TRIM_H

/* A bit that VIRTIO leaves to the type of the device and has not assigned. */
#define PRIVATE_F_TRIM 62
/* Behind the configuration of VIRTIO 5.5.4: a magic number, and the latest request. */
#define PRIVATE_CONFIG_OFFSET 64
#define PRIVATE_CONFIG_MAGIC 0x4f524541 /* "AERO" */
/* A request is a number that changes with each, and how many MiB are to be given up. */
#define PRIVATE_TRIM_MIB 0x00ffffff

#endif
