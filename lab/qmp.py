# SPDX-License-Identifier: BSD-3-Clause
"""The little of QMP that tests need to look behind aerostat's back."""

import json
import socket

from .errors import GuestError, GuestGone, GuestTimeout

TIMEOUT_S = 30


def ask(path, command, args):
    """Opens a session, asks one thing, closes it, and returns the answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            with connection.makefile("rw") as file:
                file.readline()
                execute(file, "qmp_capabilities", {})
                return execute(file, command, args)
    except TimeoutError:
        raise GuestTimeout(f"no answer from {path} to {command} in {TIMEOUT_S} s: "
                           "stopped, or busy with another client?") from None
    except (ConnectionError, FileNotFoundError) as error:
        raise GuestGone(f"cannot ask {path} to {command}: {error}") from None


def execute(file, command, args):
    file.write(json.dumps({"execute": command, "arguments": args}) + "\n")
    file.flush()
    for line in file:
        answer = json.loads(line)
        if "error" in answer:
            raise GuestError(f"{command}: {answer['error']['desc']}", 1)
        if "return" in answer:
            return answer["return"]
    raise ConnectionResetError("the monitor closed the connection")
