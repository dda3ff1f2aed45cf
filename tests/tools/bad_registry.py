#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bad_registry.py DIR [IP:PORT]: registries on loopback that misbehave as the repository's name says.

They serve DIR/blob and DIR/manifest. The program writes the address of the registry to DIR/address, that of
another service, which some redirects lead to, to DIR/other, and with DIR/tls.pem that of a TLS server, which the
other redirects lead to, to DIR/tls; IP:PORT is where that one listens. DIR/log has a line for each request:
server, method, path, range and authorization.
"""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import ssl
import sys
import threading

PASSWORD = "Basic " + base64.b64encode(b"user:secret").decode()
TOKEN = "t0k3n"

folder = pathlib.Path(sys.argv[1])
blob = (folder / "blob").read_bytes()
manifest = (folder / "manifest").read_bytes()
half = len(blob) // 2
lock = threading.Lock()
seen = {}  # (behaviour, method) -> number of requests
addresses = {}


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        said = self.headers.get("Authorization", "-").replace(" ", "_")
        line = f"{self.server.name} {self.command} {self.path} {self.headers.get('Range', '-')} {said}\n"
        with lock, open(folder / "log", "a", encoding="utf-8") as log:
            log.write(line)

    def count(self, behaviour):
        with lock:
            key = (behaviour, self.command)
            seen[key] = seen.get(key, 0) + 1
            return seen[key]

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        if length != "chunked":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, message, **headers):
        body = json.dumps({"errors": [{"code": "X", "message": message}]}).encode()
        self.answer(status, body, **headers)

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True

    def wait(self):
        """Waits until the other side closes the connection."""
        self.wfile.flush()
        self.connection.recv(1)
        self.close_connection = True

    def range_start(self):
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").rstrip("-")) if asked else None

    def serve(self, content, cut=None):
        """Answers as a good registry does, but breaks the connection after `cut` bytes."""
        start = self.range_start()
        extra = {"Content_Type": "application/vnd.oci.image.manifest.v1+json"}
        if start is not None and start >= len(content):
            return self.answer(416, Content_Range=f"bytes */{len(content)}")
        if start is not None:
            extra["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start or 0 :]
        self.answer(206 if start is not None else 200, body[:cut], length=len(body), **extra)
        if cut is not None and cut < len(body):
            self.hang_up()

    def send_chunks(self, pieces, end=b"0\r\n\r\n"):
        self.answer(200, length="chunked")
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(end)

    def do_GET(self):
        self.note()
        if self.path.startswith("/token"):
            return self.give_token()
        if self.path == "/blob":
            return self.serve(blob)
        if self.path == "/port":
            return self.answer(307, Location=addresses["other"] + "/blob")
        if self.path == "/challenge":
            realm = f'Bearer realm="{addresses["tls"]}/token",service="s"'
            return self.refuse(401, "who are you", WWW_Authenticate=realm)
        parts = self.path.split("/")
        if len(parts) < 5 or parts[1] != "v2":
            return self.refuse(404, "no such page")
        behaviour = parts[2].replace("-", "_")
        content = manifest if parts[-2] == "manifests" else blob
        answer = getattr(self, "get_" + behaviour, self.get_private)
        if answer == self.get_private and self.server.name != "tls":
            return self.refuse(404, "no such repository")
        return answer(content, self.count(behaviour))

    do_HEAD = do_GET

    # Each of these answers one request; `times` says how many the behaviour has had, with this one.

    def get_good(self, content, times):
        self.serve(content)

    def get_half(self, content, times):
        self.serve(content, cut=half if times == 1 else None)

    def get_always_half(self, content, times):
        self.serve(content, cut=1000)

    def get_half_no_range(self, content, times):
        if times == 1:
            return self.serve(content, cut=half)
        return self.answer(200, content)

    def get_half_range_wrong(self, content, times):
        if times == 1:
            return self.serve(content, cut=half)
        return self.answer(206, content, Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")

    def get_half_range_nonsense(self, content, times):
        if times == 1:
            return self.serve(content, cut=half)
        return self.answer(206, content[half:], Content_Range="bytes many/more")

    def get_half_no_such_range(self, content, times):
        if times == 1:
            return self.serve(content, cut=half)
        if self.range_start() is not None:
            return self.answer(416)
        return self.answer(200, content)

    def get_half_range_refused(self, content, times):
        if times == 1:
            return self.serve(content, cut=half)
        if self.range_start() is not None:
            return self.refuse(400, "ranges are not for us")
        return self.answer(200, content)

    def get_range_refused_always(self, content, times):
        """Breaks off each download, and refuses to resume it."""
        if self.range_start() is not None:
            return self.refuse(400, "ranges are not for us")
        return self.serve(content, cut=half)

    def get_refused(self, content, times):
        self.refuse(400, "not even without a range")

    def get_range_unasked(self, content, times):
        self.answer(206, content, Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")

    def get_lies(self, content, times):
        self.answer(200, content[::-1])

    def get_lies_later(self, content, times):
        """Serves a blob whose first half is wrong, but resumes it correctly."""
        start = self.range_start()
        if start is None:
            return self.answer(200, content[::-1][:half] + content[half:])
        return self.serve(content)

    def get_lies_digest(self, content, times):
        self.answer(200, content, Docker_Content_Digest=digest_of(b"else"))

    def get_much(self, content, times):
        self.send_chunks([content, b"more"])

    def get_long(self, content, times):
        self.answer(200, content + b"more")

    def get_short(self, content, times):
        self.send_chunks([content[:half]])

    def get_length_short(self, content, times):
        self.answer(200, content[:half])

    def get_chunks_cut(self, content, times):
        self.send_chunks([content[:half]], end=b"ff\r\nabc")
        self.hang_up()

    def get_chunks_bad(self, content, times):
        self.send_chunks([content[:half]], end=b"no number\r\n")
        self.hang_up()

    def get_stall(self, content, times):
        self.serve_and_wait(content)

    def get_stall_once(self, content, times):
        if times == 1:
            return self.serve_and_wait(content)
        return self.serve(content)

    def serve_and_wait(self, content):
        self.answer(200, content[:half], length=len(content))
        self.wait()

    def get_silent(self, content, times):
        self.wait()

    def get_gone(self, content, times):
        self.hang_up()

    def get_garbage(self, content, times):
        self.wfile.write(b"\0\1 this is no HTTP \xff\xfe\r\n\r\n")
        self.hang_up()

    def get_headers(self, content, times):
        self.send_response(200)
        self.flush_headers()
        try:
            for i in range(100000):
                self.wfile.write(b"X-%d: %s\r\n" % (i, b"x" * 1000))
        except OSError:
            pass
        self.close_connection = True

    def get_busy(self, content, times):
        if times < 3:
            return self.refuse(503, "busy", Retry_After="1")
        return self.serve(content)

    def get_limit(self, content, times):
        self.refuse(429, "slow down", Retry_After="3600")

    def get_down(self, content, times):
        self.refuse(500, "broken \033[31minside")

    def get_denied(self, content, times):
        self.refuse(403, "not yours")

    def get_odd(self, content, times):
        self.refuse(418, "teapot")

    def get_huge(self, content, times):
        self.answer(200, b"{}", length=1 << 30)

    def get_endless(self, content, times):
        self.answer(200, length="chunked")
        try:
            while True:
                self.wfile.write(b"10000\r\n%s\r\n" % (b" " * 65536))
        except OSError:
            self.close_connection = True

    def get_empty(self, content, times):
        self.answer(200)

    # Redirects.

    def get_redirect(self, content, times):
        self.want_password(lambda: self.answer(307, Location=addresses["tls"] + "/blob"))

    def get_redirect_token(self, content, times):
        self.want_token(lambda: self.answer(302, Location=addresses["tls"] + "/blob"))

    def get_redirect_loop(self, content, times):
        self.answer(302, Location=self.path)

    def get_redirect_nowhere(self, content, times):
        self.answer(302)

    def get_redirect_http(self, content, times):
        self.answer(302, Location="http://192.0.2.1/blob")

    def get_redirect_file(self, content, times):
        self.answer(302, Location="file:///etc/passwd")

    def get_redirect_password(self, content, times):
        self.answer(302, Location="https://a:b@192.0.2.1/blob")

    def get_redirect_challenge(self, content, times):
        self.answer(302, Location=addresses["tls"] + "/challenge")

    def get_redirect_relative(self, content, times):
        self.answer(301, Location="/blob")

    def get_redirect_port(self, content, times):
        """Redirects to another service of this host."""
        self.answer(302, Location=addresses["other"] + "/blob")

    def get_redirect_port_later(self, content, times):
        """Redirects to another service of this host, after a redirect that is allowed."""
        self.answer(302, Location="/port")

    def get_redirect_plain(self, content, times):
        """Redirects from https to http when it is asked over TLS."""
        self.answer(302, Location=addresses["other"] + "/blob")

    # Authentication.

    def get_private(self, content, times):
        """Accepts any password."""
        if not self.headers.get("Authorization"):
            return self.refuse(401, "authentication required", WWW_Authenticate='Basic realm="x"')
        return self.serve(content)

    def want_password(self, then):
        if self.headers.get("Authorization") != PASSWORD:
            return self.refuse(401, "authentication required", WWW_Authenticate='Basic realm="x"')
        return then()

    def want_token(self, then, realm=None, scope=None):
        if self.headers.get("Authorization") == "Bearer " + TOKEN:
            return then()
        challenge = f'Bearer realm="{realm or addresses["registry"] + "/token"}",service="the service"'
        if scope:
            challenge += f',scope="{scope}"'
        return self.refuse(401, "authentication required", WWW_Authenticate=challenge)

    def give_token(self):
        kind = self.path.split("?")[0].removeprefix("/token").lstrip("/")
        if kind == "huge":
            return self.answer(200, b" " * (1 << 20))
        if kind == "bad":
            return self.answer(200, b'{"token": "a\\r\\nX-Evil: 1"}')
        if kind == "none":
            return self.answer(200, b"<html>")
        if kind == "down" and self.count("token_down") < 3:
            return self.refuse(503, "later")
        if kind != "free" and self.headers.get("Authorization") != PASSWORD:
            return self.refuse(401, "wrong password")
        return self.answer(200, json.dumps({"token": TOKEN}).encode())

    def get_basic(self, content, times):
        self.want_password(lambda: self.serve(content))

    def get_token(self, content, times):
        self.want_token(lambda: self.serve(content), scope="repository:token:pull")

    def get_token_scopes(self, content, times):
        self.want_token(lambda: self.serve(content), scope='repository:a/b:pull repository:c:pull,push",scope="third')

    def get_token_free(self, content, times):
        self.want_token(lambda: self.serve(content), realm=addresses["registry"] + "/token/free")

    def get_token_huge(self, content, times):
        self.want_token(None, realm=addresses["registry"] + "/token/huge")

    def get_token_bad(self, content, times):
        self.want_token(None, realm=addresses["registry"] + "/token/bad")

    def get_token_none(self, content, times):
        self.want_token(None, realm=addresses["registry"] + "/token/none")

    def get_token_down(self, content, times):
        self.want_token(lambda: self.serve(content), realm=addresses["registry"] + "/token/down")

    def get_token_elsewhere(self, content, times):
        self.want_token(None, realm="http://192.0.2.1/token")

    def get_token_port(self, content, times):
        self.want_token(None, realm=addresses["other"] + "/token")

    def get_token_useless(self, content, times):
        self.refuse(401, "go away", WWW_Authenticate=f'Bearer realm="{addresses["registry"]}/token/free"')

    def get_negotiate(self, content, times):
        self.refuse(401, "tickets, please", WWW_Authenticate="Negotiate abc==")

    # Uploads. The registry never has the blob.

    def get_push(self, content, times):
        self.answer(404)

    get_push_elsewhere = get_push_busy = get_push_denied = get_push_dies = get_push_plain = get_push_port = get_push

    def do_POST(self):
        self.note()
        behaviour = self.path.split("/")[2]
        if behaviour == "push-denied":
            return self.refuse(403, "read only")
        if behaviour == "push-busy" and self.count(behaviour) == 1:
            return self.refuse(503, "busy", Retry_After="1")
        place = f"/upload/{behaviour}?state=x%3D"
        if behaviour == "push-elsewhere":
            place = addresses["tls"] + place
        if behaviour == "push-port":
            place = addresses["other"] + place
        if behaviour == "push-plain":
            place = "http://192.0.2.1" + place
        return self.want_password(lambda: self.answer(202, Location=place))

    def do_PUT(self):
        self.note()
        behaviour = self.path.split("?")[0].split("/")[2]
        length = int(self.headers["Content-Length"])
        if behaviour == "push-dies" and self.count(behaviour) == 1:
            self.rfile.read(length // 2)
            return self.hang_up()
        body = self.rfile.read(length)
        if "/manifests/" in self.path:
            (folder / "pushed.manifest").write_bytes(body)
            said = digest_of(body if behaviour != "lies-digest" else b"else")
            return self.answer(201, Docker_Content_Digest=said)
        (folder / "pushed.blob").write_bytes(body)
        return self.answer(201, Docker_Content_Digest=digest_of(body))

    def do_CONNECT(self):
        """Refuses to be a proxy."""
        self.note()
        self.refuse(403, "no way out")


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # the other side hung up
            super().handle_error(request, client_address)


def start(name, scheme="http", address="127.0.0.1:0"):
    host, port = address.split(":")
    server = Server((host, int(port)), Registry)
    server.name = name
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    addresses[name] = f"{scheme}://{host}:{server.server_port}"
    return server


def tell(name, file):
    part = folder / (file + ".part")
    part.write_text(addresses[name].removeprefix("http://"), encoding="utf-8")
    os.rename(part, folder / file)


servers = [start("registry"), start("other")]
if (folder / "tls.pem").exists():
    servers.append(start("tls", "https", *sys.argv[2:]))
    tell("tls", "tls")
tell("other", "other")
for one in servers[1:]:
    threading.Thread(target=one.serve_forever, daemon=True).start()
tell("registry", "address")
servers[0].serve_forever()
