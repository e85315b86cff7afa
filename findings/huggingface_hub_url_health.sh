#!/usr/bin/env bash
# What: an InferenceClient of huggingface_hub that is made for the address of a private server sends predictions there
# without a provider. Its health_check() and get_endpoint_info() refuse: they need the provider "hf-inference".
# Versions: huggingface-hub 2.4.0.
# A user meets it when a deployment that answers predictions looks unhealthy to a script that uses the same client.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check huggingface-hub==2.4.0
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub import InferenceClient


class Handler(BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"model_id": "example"})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer([[{"label": "positive", "score": 0.75}]])

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_address[1]}"


def outcome(call):
    try:
        return call()
    except ValueError as error:
        return f"ValueError: {str(error)[:80]}"


plain, named = InferenceClient(model=address), InferenceClient(model=address, provider="hf-inference")
predicted = outcome(lambda: plain.text_classification("a text")[0].label)
refused = [outcome(plain.health_check), outcome(plain.get_endpoint_info)]
works = outcome(named.health_check)
print("prediction without a provider:", predicted)
print("health_check, get_endpoint_info without a provider:", refused)
print("health_check with the provider hf-inference:", works)
same = predicted == "positive" and all(str(r).startswith("ValueError") for r in refused) and works is True
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
