/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of QMP guests assert of a fake QEMU's guest. */
#ifndef AEROSTAT_QMP_ASSERTS_H
#define AEROSTAT_QMP_ASSERTS_H

#include "tests/hang.h"
#include "tests/unit/fake_qemu.h"

/* Always used up, so short; long enough to get there on a busy machine. */
#define SOON hv_deadline_ms(1000)
#define LATER hv_deadline_ms(HANG_MS)
#define MIB (UINT64_C(1) << 20)
#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

void assert_heard(struct fake *fake, const char *expected);
void assert_error(GError **error, enum hv_error code, const char *part);
void get_gives(struct fake *fake, uint64_t expected);
void get_fails(struct hv_guest *guest, int64_t deadline, enum hv_error code, const char *part);
void set_fails(struct fake *fake, uint64_t bytes, unsigned int scope, enum hv_error code,
	       const char *part);
void event_gives(struct fake *fake, enum hv_event_kind kind, uint64_t actual_bytes,
		 const char *detail);
void event_fails(struct fake *fake, int64_t deadline, enum hv_error code, const char *part);

#endif
