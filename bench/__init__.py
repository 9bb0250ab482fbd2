# SPDX-License-Identifier: BSD-3-Clause
"""Measurements of Aerostat and of its alternatives.  See README.md."""
