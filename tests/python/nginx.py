"""nginx with the configuration of serve/deploy, on free ports."""

import contextlib
import socket
import ssl
import subprocess
import time

from conftest import ROOT, free_port, program


def certificate(folder):
    """Makes a self-signed certificate for localhost."""
    chain, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                    "-out", chain], check=True, capture_output=True)  # fmt: skip
    return chain, key


def unverified():
    """A context for TLS that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.contextmanager
def nginx_before(replicas, folder):
    """nginx over TLS before replicas on two ports. Gives its own port. At the end it must have logged nothing above a
    warning but failed connections to replicas."""
    binary = program("nginx")
    chain, key = certificate(folder)
    port = free_port()
    example = (ROOT / "serve/deploy/nginx.conf").read_text()
    changes = {
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "    listen [::]:443 ssl http2;\n": "",
        "/etc/nginx/tls/qing.crt": str(chain),
        "/etc/nginx/tls/qing.key": str(key),
        "127.0.0.1:8080": f"127.0.0.1:{replicas[0]}",
        "127.0.0.1:8081": f"127.0.0.1:{replicas[1]}",
    }
    for old, new in changes.items():
        assert example.count(old) == 1, old
        example = example.replace(old, new)
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log notice;\n"
        f"events {{ worker_connections 512; }}\nhttp {{\n    access_log off;\n{temporary}{example}}}\n"
    )
    process = subprocess.Popen([binary, "-p", folder, "-e", folder / "error.log", "-c", configuration])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)
    lines = (folder / "error.log").read_text().splitlines()
    assert not [line for line in lines if "[emerg]" in line or "[alert]" in line], lines
