"""The web page's command: python -m helpers.app [--weights FILE]  → http://127.0.0.1:7860"""

import argparse
import signal
import sys
import tempfile

from helpers.app.temporary import temporary_home
from helpers.cutout import load_matter
from helpers.startup import begin

try:
    from helpers.app.interface import USER, is_loopback, page
except ModuleNotFoundError as error:
    sys.exit(str(error))


def main(arguments=None):
    """Command line: serve the page until Ctrl-C; see `--help`."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.app", description="The web page: a photo in, its cutout out."
    )
    parser.add_argument("--weights", metavar="FILE", help="weights of the network (default: the best in saved_models/)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this computer "
                        "alone); any other needs --password")  # fmt: skip
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--password", help=f"what to log in with as user {USER}; it travels in the clear, so put https "
                        "in front of the page on any network that you do not trust")  # fmt: skip
    options = parser.parse_args(arguments)
    if not is_loopback(options.host) and not options.password:
        parser.error(f"others can reach {options.host}: set a --password")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # by way of what removes the temporary files
    auth = (USER, options.password) if options.password else None
    try:
        blocks = page(load_matter(options.weights))
        tempfile.tempdir = str(temporary_home())  # unfinished uploads, too, go when the process ends
        url = blocks.launch(server_name=options.host, server_port=options.port, auth=auth, quiet=True,
                            prevent_thread_lock=True)[1]  # fmt: skip
        blocks.server.force_exit = True  # when it is stopped: it waits for nobody who is connected
        print(f"{url} – stop with Ctrl-C", flush=True)
        try:
            blocks.block_thread()
        finally:
            blocks.close(verbose=False)  # before its files are deleted, or it would write new ones
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
