"""``python -m demo``."""

import sys

_INTERRUPTED = 130

if __name__ == "__main__":
    try:
        from demo.command import command

        command(prog_name="python -m demo")
    except KeyboardInterrupt:  # before the command could see to it
        sys.exit(_INTERRUPTED)
