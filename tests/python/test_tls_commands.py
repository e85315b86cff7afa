"""qing files and qing jobs over https: which certificates they accept, and what they say of the others."""

import json
import os
import subprocess
import urllib.parse

import pytest
from conftest import synthetic_rows
from job_tools import jsonl

SERVER_NAMES = "IP:127.0.0.1,DNS:localhost"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """A root, and the certificates of servers that it signs."""

    def __init__(self, folder, name):
        folder.mkdir()
        self.folder, self.file, self.key = folder, folder / "root.pem", folder / "root.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.key, "-out", self.file)

    def sign(self, name, names=SERVER_NAMES, days=1):
        """The options of a server with a certificate for these names."""
        key, request, chain, extensions = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", extensions, "-out", chain)
        return "--certificate", chain, "--tls-key", key


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority", "the team")


@pytest.fixture
def start(serve, models_root, tmp_path):
    return lambda *options: serve("--models", models_root, "--state", tmp_path / "state", *options).endpoint


def test_files_and_jobs_over_tls(qing, start, authority, tmp_path):
    endpoint = start(*authority.sign("server"))
    at = ("--url", endpoint, "--certificate-authority", authority.file)
    data = tmp_path / "data.jsonl"
    data.write_bytes(jsonl(synthetic_rows(600)) * 20)  # many pieces
    made = json.loads(qing("files", "upload", data, "--json", *at).stdout)
    assert made["bytes"] == data.stat().st_size > 1_000_000
    qing("files", "download", made["id"], "--out", tmp_path / "copy", *at)
    assert (tmp_path / "copy").read_bytes() == data.read_bytes()
    assert made["id"] in qing("files", "list", *at).stdout
    job = json.loads(qing("jobs", "create", "--training-file", made["id"], "--json", *at).stdout)
    assert json.loads(qing("jobs", "cancel", job["id"], "--json", *at).stdout)["status"] == "cancelled"
    assert job["id"] in qing("jobs", "list", *at).stdout
    refused = qing("files", "show", "file-none", *at, check=False)
    assert refused.returncode == 1 and "HTTP 404" in refused.stderr

    by_name = endpoint.replace("127.0.0.1", "localhost")
    qing("files", "list", "--url", by_name, "--certificate-authority", authority.file)
    surroundings = {**os.environ, "QING_URL": by_name}
    qing("files", "list", env={**surroundings, "QING_CERTIFICATE_AUTHORITY": str(authority.file)})
    qing("files", "list", env={**surroundings, "SSL_CERT_FILE": str(authority.file)})  # the system's store, as OpenSSL finds it


@pytest.mark.parametrize("names, days, trusted, why", [
    (SERVER_NAMES, 1, None, "self-signed certificate|unable to get local issuer certificate"),
    (SERVER_NAMES, 1, "other", "unable to get local issuer certificate|certificate signature failure"),
    ("DNS:other.example", 1, "its own", "IP address mismatch"),
    (SERVER_NAMES, 0, "its own", "certificate has expired"),
])  # fmt: skip
def test_a_certificate_that_is_not_valid_is_refused(qing, start, authority, tmp_path, names, days, trusted, why):
    endpoint = start(*authority.sign("server", names, days))
    other = Authority(tmp_path / "other", "somebody else")
    file = {None: None, "other": other.file, "its own": authority.file}[trusted]
    options = () if file is None else ("--certificate-authority", file)
    data = tmp_path / "secret.tsv"
    data.write_text("label\ttext\na\tb\n")
    for words in (("files", "list"), ("files", "upload", data), ("jobs", "list")):
        refused = qing(*words, "--url", endpoint, "--key", "a-secret-key", *options, check=False)
        assert refused.returncode == 1 and refused.stdout.count("\n") <= 1, refused
        assert "the server's certificate is refused: " in refused.stderr and "--certificate-authority" in refused.stderr
        assert any(reason in refused.stderr for reason in why.split("|")), refused.stderr
        assert "a-secret-key" not in refused.stderr
    assert not list((tmp_path / "state").glob("files/*"))


def test_a_name_that_is_not_in_the_certificate(qing, start, authority):
    endpoint = start(*authority.sign("server", "IP:127.0.0.1")).replace("127.0.0.1", "localhost")
    refused = qing("files", "list", "--url", endpoint, "--certificate-authority", authority.file, check=False)
    assert refused.returncode == 1 and "hostname mismatch" in refused.stderr.lower()


def test_wrong_use(qing, start, authority, tmp_path):
    plain = start()
    refused = qing("files", "list", "--url", plain.replace("http", "https"), check=False)
    assert refused.returncode == 1 and "no TLS" in refused.stderr and "speaks https" in refused.stderr
    unused = qing("files", "list", "--url", plain, "--certificate-authority", authority.file, check=False)
    assert unused.returncode == 2 and "https" in unused.stderr
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    port = urllib.parse.urlsplit(plain).port
    for file in (empty, tmp_path / "none.pem"):
        wrong = qing("jobs", "list", "--url", f"https://127.0.0.1:{port}", "--certificate-authority", file, check=False)
        assert wrong.returncode == 1 and f"{file}: not a readable file of certificates" in wrong.stderr
