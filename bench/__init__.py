# SPDX-License-Identifier: BSD-3-Clause
"""The figures of changing a guest's memory by hand, on real guests.  See README.md."""
