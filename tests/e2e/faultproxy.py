"""A proxy between a daemon and its chain's node, which fails and lies as it is told.

A fault is a function of (call, forward): `call` is the JSON-RPC request, forward() the node's answer to it, and the result
what the daemon gets: a document, raw bytes, or one of the replies below. Proxy.fault may be changed at any time.
"""
import copy
import http.server
import json
import threading
import urllib.request

DROP = object()  # closes the connection without a word


class Cut:
    """The beginning of an answer, whose rest never comes."""

    def __init__(self, document):
        self.document = document


class Status:
    def __init__(self, code, body=b"", headers=()):
        self.code, self.body, self.headers = code, body, headers


class Proxy:
    def __init__(self, target, fault=None):
        self.target, self.fault, self.calls, self.swallowed = target, fault, 0, 0
        self.released = threading.Event()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    self.reply(proxy.answer(body))
                except OSError:  # either end went away
                    self.close_connection = True

            def reply(self, answer):
                if answer is DROP:
                    self.close_connection = True
                    return
                cut = isinstance(answer, Cut)
                answer = answer.document if cut else answer
                status = answer if isinstance(answer, Status) else Status(200, answer)
                body = status.body if isinstance(status.body, bytes) else json.dumps(status.body).encode()
                self.send_response(status.code)
                self.send_header("Content-Length", str(len(body)))
                for name, value in status.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[:len(body) // 2] if cut else body)
                self.close_connection = self.close_connection or cut

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://%s:%d" % self.server.server_address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forward(self, body):
        request = urllib.request.Request(self.target, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())

    def ask(self, method, *params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return self.forward(body)["result"]

    def answer(self, body):
        self.calls += 1
        fault, call = self.fault, json.loads(body)
        if fault is None:
            return self.forward(body)
        if isinstance(call, dict):
            return fault(call, lambda: self.forward(body))
        answers = []
        for one in call:  # a batch: each of it as if it came alone, but what is no document is the whole answer
            answer = fault(one, lambda one=one: self.forward(json.dumps(one).encode()))
            if not isinstance(answer, dict):
                return answer
            answers.append(answer)
        return answers

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    # Faults. Those that need to know more than the call are made by a method.

    @staticmethod
    def down(_call, _forward):
        return DROP

    def silent(self, _call, _forward):
        """No answer until the proxy ends: the daemon's time-out runs."""
        self.released.wait()
        return DROP

    @staticmethod
    def too_many(_call, _forward):
        return Status(429, b"slow down", [("Retry-After", "1")])

    @staticmethod
    def too_many_in_json(call, _forward):
        return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32005, "message": "limit exceeded"}}

    @staticmethod
    def cut(_call, forward):
        return Cut(forward())

    @staticmethod
    def truncated(_call, forward):
        body = json.dumps(forward()).encode()
        return body[:len(body) // 2]

    @staticmethod
    def page(_call, _forward):
        return Status(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>")

    @staticmethod
    def huge(_call, forward):
        """More than a daemon reads, though it is a good answer."""
        return json.dumps(forward()).encode() + b" " * (17 << 20)

    def elsewhere(self, _call, _forward):
        return Status(307, b"", [("Location", self.target)])

    @staticmethod
    def other_chain(call, forward):
        answer = forward()
        if call["method"] == "eth_chainId":
            answer["result"] = "0x5"
        return answer

    @staticmethod
    def no_logs(call, forward):
        answer = forward()
        if call["method"] == "eth_getLogs":
            answer["result"] = []
        return answer

    @staticmethod
    def invented_logs(call, forward):
        """Each log comes once more, of a channel that nobody has."""
        answer = forward()
        if call["method"] == "eth_getLogs":
            for log in list(answer["result"]):
                false = copy.deepcopy(log)
                false["topics"][1] = "0x" + "ab" * 32
                false["logIndex"] = hex(int(log["logIndex"], 16) + 100)
                answer["result"].append(false)
        return answer

    def frozen(self, behind=0):
        """A node that shows no block after the one that is the last now, or `behind` before it."""
        last = int(self.ask("eth_blockNumber"), 16) - behind

        def fault(call, forward):
            call = copy.deepcopy(call)
            for i, value in enumerate(call["params"]):
                if value == "latest":
                    call["params"][i] = hex(last)
                if call["method"] == "eth_getBlockByNumber" and value.startswith("0x") and int(value, 16) > last:
                    return {"jsonrpc": "2.0", "id": call["id"], "result": None}
                if call["method"] == "eth_getBlockByNumber":
                    break
            return self.forward(json.dumps(call).encode())
        return fault

    def liar(self):
        """A node on a chain of its own from the next block on, in which no channel changes any more."""
        last = int(self.ask("eth_blockNumber"), 16)
        frozen = self.ask("eth_getBlockByNumber", hex(last), False)

        def false_hash(text):
            return "0x" + "%02x" % (int(text[2:4], 16) ^ 0xff) + text[4:]

        def fault(call, forward):
            if call["method"] == "eth_getLogs":
                return {"jsonrpc": "2.0", "id": call["id"], "result": []}
            if call["method"] == "eth_getStorageAt":
                call = copy.deepcopy(call)
                call["params"][2] = {"blockHash": frozen["hash"]}
                return self.forward(json.dumps(call).encode())
            answer = forward()
            block = answer.get("result")
            if call["method"] == "eth_getBlockByNumber" and block and int(block["number"], 16) > last:
                block["hash"], block["logsBloom"] = false_hash(block["hash"]), "0x" + "00" * 256
                if int(block["number"], 16) > last + 1:
                    block["parentHash"] = false_hash(block["parentHash"])
            if call["method"] == "eth_getTransactionReceipt":
                answer["result"] = None
            return answer
        return fault

    def swallows(self, count):
        """The next `count` transactions are acknowledged and lost."""
        def fault(call, forward):
            if call["method"] == "eth_sendRawTransaction" and self.swallowed < count:
                self.swallowed += 1
                return {"jsonrpc": "2.0", "id": call["id"], "result": "0x" + "11" * 32}
            return forward()
        return fault
