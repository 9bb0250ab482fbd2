# SPDX-License-Identifier: BSD-3-Clause
import sys

from .errors import LabError
from .prepare import main

try:
    main()
except LabError as error:
    sys.exit("\n".join([f"error: {error}", *getattr(error, "__notes__", [])]))
except KeyboardInterrupt:
    sys.exit(130)
