"""A server that accepts connections and never answers, like a frozen process."""

import socket
import threading


class UnresponsiveServer:
    """Accepts connections and never answers. `taken` holds the accepted connections."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.taken = []
        self._taking = threading.Thread(target=self._take)

    def _take(self):
        while True:
            try:
                self.taken.append(self._server.accept()[0])
            except OSError:  # the listener is closed
                return

    @property
    def asked(self):
        return len(self.taken)

    def __enter__(self):
        self._taking.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown(socket.SHUT_RDWR)
        self._taking.join()
        self._server.close()
        for connection in self.taken:
            connection.close()
