"""The real server in a folder of its own, and a receiver that keeps what it is sent, byte for byte."""

import http.client
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS_MAX = 30
EVENT_TYPES = ["lead.qualified", "lead.rejected", "lead.review_requested"]


class Server:
    """Founded by the server's own `init`, delivering to this machine; started by `with`."""

    def __init__(self, binary, folder, authority):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.folder = Path(folder)
        self.command = [binary, "--listen", self.listen, "--data-dir", self.folder / "data"]
        told = subprocess.run([binary, "init", "--json", *self.command[1:]], capture_output=True, text=True)
        if told.returncode:
            raise SystemExit("init: " + told.stderr)
        self.told = json.loads(told.stdout)
        self.settings = self.folder / "agentflow.toml"
        self.settings.write_text(f"[delivery]\nallow_networks = ['127.0.0.0/8']\nextra_ca = '{authority}'\n")
        self.trust = ssl.create_default_context(cafile=self.told["certificate_path"])

    def __enter__(self):
        self.log = open(self.folder / "server.log", "wb")
        self.process = subprocess.Popen(
            [*self.command, "--config", self.settings], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def _wait_until_ready(self):
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if self.api("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit("the server does not start:\n" + (self.folder / "server.log").read_text())

    def api(self, method, path, body=None):
        """Answers the status and the parsed answer."""
        connection = http.client.HTTPSConnection(urlsplit(self.told["api_url"]).netloc, context=self.trust, timeout=30)
        headers = {"Authorization": "Bearer " + self.told["api_token"], "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def send_events_to(self, url):
        status, answer = self.api("POST", "/api/v1/destinations", {"url": url, "event_types": EVENT_TYPES})
        if status != 201:
            raise SystemExit(f"no destination: {status} {answer}")


class Receiver:
    """Receives over HTTPS on a free port of this machine."""

    def __init__(self, folder):
        self.certificate = Path(folder) / "receiver.pem"
        key = Path(folder) / "receiver-key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-keyout", key, "-out", self.certificate, "-days", "2", "-subj", "/CN=receiver"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True,
            capture_output=True,
        )
        self._events = []
        self._came = threading.Condition()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(self.certificate, key)
        # Shakes hands at the first read, on the connection's own thread.
        server.socket = trust.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{server.server_port}/agentflow"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def wait_for(self, count, seconds):
        """The headers and bodies that came, once there are as many."""
        with self._came:
            self._came.wait_for(lambda: len(self._events) >= count, seconds)
            return list(self._events)

    def _handler(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._came:
                    receiver._events.append((self.headers.items(), body))
                    receiver._came.notify()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler
