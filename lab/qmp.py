# SPDX-License-Identifier: BSD-3-Clause
"""The little of QMP that tests need to look behind aerostat's back."""

import json
import socket

from .errors import GuestError, GuestGone, GuestTimeout

TIMEOUT_S = 30


def ask(path, command, args):
    """Opens a session, asks one thing, closes it, and returns the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise GuestGone(f"cannot ask {command}: nobody listens on {path}") from None
        with connection.makefile("rw") as file:
            try:
                file.readline()
                execute(file, "qmp_capabilities", {})
                return execute(file, command, args)
            except TimeoutError:
                raise GuestTimeout(f"no answer from {path} to {command} in {TIMEOUT_S} s: "
                                   "stopped, or busy with another client?") from None


def execute(file, command, args):
    file.write(json.dumps({"execute": command, "arguments": args}) + "\n")
    file.flush()
    for line in file:
        answer = json.loads(line)
        if "error" in answer:
            raise GuestError(f"{command}: {answer['error']['desc']}", 1)
        if "return" in answer:
            return answer["return"]
    raise GuestError(f"{command}: the monitor closed the connection", 1)
