"""What runs at both ends of the demo of chains, as programs for a Python of their own: servers, and who asks them."""

#: Beyond the site: pages that may be kept, a name server, and what greets as SSH and telnet do; counts what it serves.
SERVERS = """
import http.server, socketserver, threading, socket, sys
class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"p" * 200_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(body)
        print("page", flush=True)
    def log_message(self, *words): pass
def greet(port, words):
    server = socket.create_server(("", port))
    while True:
        end, _ = server.accept()
        end.sendall(words)
        end.settimeout(2)
        try: end.recv(100)
        except OSError: pass
        end.close()
def name():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind((sys.argv[1], 53))
    while True:
        asked, who = server.recvfrom(512)
        head = asked[:2] + b"\\x81\\x80" + asked[4:6] + b"\\0\\1\\0\\0\\0\\0"
        address = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc0\\0\\2\\1"
        server.sendto(head + asked[12:] + address, who)
def sink():
    server = socket.create_server(("", 5201))
    while True:
        end, _ = server.accept()
        while end.recv(1 << 20): pass
        end.close()
ssh, telnet = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\\r\\n", b"\\xff\\xfd\\x18login: "
for job in (lambda: greet(22, ssh), lambda: greet(23, telnet), name, sink):
    threading.Thread(target=job, daemon=True).start()
print("ready", flush=True)
http.server.ThreadingHTTPServer(("", 80), Pages).serve_forever()
"""
#: Asks for pages in rounds, and says of each answer its status, its length and what the cache says of it.
GET = """
import http.client, sys
for _ in range(int(sys.argv[3])):
    for page in range(int(sys.argv[2])):
        peer = http.client.HTTPConnection(sys.argv[1], 80, timeout=10)
        peer.request("GET", f"/{page}")
        answer = peer.getresponse()
        print(answer.status, len(answer.read()), answer.headers.get("X-Cache-Status", "-"))
"""
#: Says how a server greets, or why it does not.
GREETED = """
import socket, sys
try:
    end = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=4)
    print(end.recv(100)); end.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\\r\\n")
except OSError as error: print("refused:", error)
"""
#: Asks for a name, and says how long the answer is.
ASK_NAME = """
import socket, sys
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); end.settimeout(4)
end.sendto(b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\x07example\\x03org\\0\\0\\1\\0\\1", (sys.argv[1], 53))
print(len(end.recv(512)))
"""
#: Sends for some seconds, and says how many bits a second arrived.
SOURCE = """
import socket, sys, time
end = socket.create_connection((sys.argv[1], 5201), timeout=5)
chunk, count, began = bytes(1 << 17), 0, time.monotonic()
while time.monotonic() - began < float(sys.argv[2]):
    end.sendall(chunk); count += len(chunk)
end.shutdown(socket.SHUT_WR); end.settimeout(10); end.recv(1)
print(count * 8 / (time.monotonic() - began))
"""
