"""The web page's command: python -m helpers.app [--weights FILE]  → http://127.0.0.1:7860"""

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from getpass import getpass

from helpers.app.temporary import temporary_home
from helpers.cutout import load_matter
from helpers.files.arguments import not_empty, path
from helpers.startup import begin

try:
    from helpers.app.interface import USER, page
    from helpers.app.local import is_loopback
except ModuleNotFoundError as error:
    sys.exit(str(error))

PASSWORD = "PORTRAIT_PASSWORD"
"""The environment variable that holds the page's password."""

ASK = object()
"""What `--password` stands for without a word behind it."""


def password_of(given: object) -> str | None:
    """The page's password: from the command line, typed if it gave `ASK`, or from the variable; None if there is none.

    Raises ValueError for an empty password, such as "$NAME" gives if the variable is not set.
    """
    if given is None:
        return os.environ.get(PASSWORD) or None
    try:
        password = getpass(f"Password of user {USER}: ") if given is ASK else str(given)
    except EOFError:
        password = ""
    if not password:
        raise ValueError("the password is empty; give one")
    return password


def check_address(host: str, port: int) -> None:
    """Raise OSError, with the reason and the way out, where nothing can listen at an address.

    Gradio only says that it found no port, and advises what this command does not have.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[:2], family=family):
            pass
    except OSError as error:
        way_out = "another --host" if isinstance(error, socket.gaierror) else "another --port"
        raise OSError(f"cannot listen on {host}, port {port} ({error.strerror}); name {way_out}") from error


def main(arguments: list[str] | None = None) -> int:
    """Command line: serve the page until Ctrl-C; see `--help`."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.app", description="The web page: a photo in, its cutout out."
    )
    parser.add_argument("--weights", type=not_empty, metavar="FILE", help="weights of the network; default: your own "
                        "saved_models/final_model_ckpt.pth if it is there, else this project's weights")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this computer "
                        "alone); any other needs a password")  # fmt: skip
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--password", nargs="?", const=ASK, metavar="PASSWORD", help="the password for user "
                        f"{USER}; without a PASSWORD you are asked for it. Every user of this computer can read the "
                        f"command line: set the environment variable {PASSWORD} instead, or be asked. The password "
                        "is sent unencrypted: on a network that you do not trust, put https in front")  # fmt: skip
    parser.add_argument("--photos", type=path, metavar="DIR", help="folder that the tab “My photos” begins with; on a "
                        "page that others can reach it is the only one")  # fmt: skip
    parser.add_argument("--work", type=path, metavar="DIR", help="its work folder, as python -m helpers.mine names it")
    options = parser.parse_args(arguments)
    if not 1 <= options.port < 2**16:
        parser.error(f"--port {options.port}: a port is a number from 1 to {2**16 - 1}")
    if options.photos and not options.photos.is_dir():
        parser.error(f"--photos {options.photos}: no such folder")
    if options.work and not options.photos:
        parser.error("--work is the work folder of --photos; name that as well")
    try:
        password = password_of(options.password)
    except ValueError as error:
        parser.error(str(error))
    if not is_loopback(options.host) and not password:
        parser.error(f"others can reach {options.host}: set a password by the variable {PASSWORD}, or by --password")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # by way of what removes the temporary files
    auth = (USER, password) if password else None
    try:
        check_address(options.host, options.port)
        blocks = page(load_matter(options.weights), options.photos, options.work, options.weights)
        tempfile.tempdir = str(temporary_home())  # unfinished uploads, too, go when the process ends
        url = blocks.launch(server_name=options.host, server_port=options.port, auth=auth, quiet=True,
                            prevent_thread_lock=True)[1]  # fmt: skip
        blocks.server.force_exit = True  # when it is stopped: it waits for nobody who is connected
        print(f"{url} – stop with Ctrl-C", flush=True)
        try:
            blocks.block_thread()
        finally:
            logging.getLogger("uvicorn.error").disabled = True  # it would show what `force_exit` breaks off as an error
            blocks.close(verbose=False)  # before its files are deleted, or it would write new ones
    except KeyboardInterrupt:  # before the page was up; afterwards it ends as usual
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
