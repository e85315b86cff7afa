"""A browser for tests: Chromium, driven through chromedriver's own HTTP interface (W3C WebDriver)."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs the packages chromium and chromium-driver")


class Browser:
    def __init__(self, *more):
        self.process = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = None
        while not found:
            line = self.process.stdout.readline()
            assert line, "chromedriver ended"
            found = re.search(r"successfully on port (\d+)", line)
        self.address = f"http://127.0.0.1:{found[1]}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en",
                     "--hide-scrollbars", *more]  # fmt: skip
        options = {"binary": CHROMIUM, "args": arguments}
        session = self.send("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})  # fmt: skip
        self.address += "/session/" + session["sessionId"]

    def send(self, method, path, payload=None):
        data = None if method == "GET" else json.dumps(payload or {}).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def close(self):
        self.send("DELETE", "")
        self.process.terminate()
        self.process.wait(timeout=30)

    def open(self, url):
        self.send("POST", "/url", {"url": url})

    def open_page(self, endpoint):
        """Opens the page of a server at the width of a desktop, and waits until it lists the models."""
        self.resize(1200, 900)
        self.open(endpoint + "/")
        self.wait("document.querySelector('#model option') !== null")

    def run(self, script, *arguments):
        return self.send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, css):
        return self.send("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self.send("POST", f"/element/{self.find(css)}/click")

    def type(self, css, text):
        self.send("POST", f"/element/{self.find(css)}/value", {"text": text})

    def press(self, key):
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def text(self, css):
        return self.send("GET", f"/element/{self.find(css)}/text")

    def name(self, css):
        """Returns the name that a screen reader reads."""
        return self.send("GET", f"/element/{self.find(css)}/computedlabel")

    def wait(self, script, seconds=30):
        deadline = time.monotonic() + seconds
        while not (value := self.run("return " + script)):
            assert time.monotonic() < deadline, f"still not true: {script}"
            time.sleep(0.05)
        return value

    def resize(self, width, height, mobile=False):
        self.send("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}})  # fmt: skip

    def screenshot(self, path):
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        self.resize(width, min(height, 4000))
        path.write_bytes(base64.b64decode(self.send("GET", "/screenshot")))

    def console(self):
        """Returns the messages of the console, such as violations of the page's policy."""
        return [entry["message"] for entry in self.send("POST", "/se/log", {"type": "browser"})]
