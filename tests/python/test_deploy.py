"""The examples of serve/deploy do what the documents say of them."""

import json
import re
import urllib.request

import pytest
from conftest import ROOT

DEPLOY = ROOT / "serve/deploy"


def test_the_systemd_unit_is_hardened():
    unit = (DEPLOY / "qing.service").read_text().splitlines()
    for line in ("UMask=0077", "LimitCORE=0", "User=qing", "NoNewPrivileges=true", "ProtectSystem=strict",
                 "CapabilityBoundingSet=", "MemoryDenyWriteExecute=true", "SystemCallFilter=@system-service"):  # fmt: skip
        assert line in unit


def test_the_image_has_no_shell_and_no_root():
    stages = re.split(r"^FROM ", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    assert len(stages) == 2 and stages[1].startswith("scratch\n")
    assert re.search(r"^USER 65532:65532$", stages[1], re.MULTILINE)
    assert not re.search(r"^RUN ", stages[1], re.MULTILINE)
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", stages[1], re.MULTILINE)
    assert json.loads(entry) == ["/usr/local/bin/qing"]  # a list: no shell starts it


def test_the_kubernetes_manifest_probes_routes_that_exist(models_root, serve):
    yaml = pytest.importorskip("yaml")
    (deployment,) = [one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    endpoint = serve("--models", models_root).endpoint
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert urllib.request.urlopen(endpoint + path, timeout=30).status == 200


def test_the_example_of_nginx_shuts_the_admin_routes_off(models_root, serve):
    """Every route that asks for the scope admin is in a location that answers 404."""
    configuration = (DEPLOY / "nginx.conf").read_text()
    prefixes = re.findall(r"^\s*location (/\S+) \{ return 404; \}", configuration, re.MULTILINE)
    patterns = re.findall(r"^\s*location ~ (\S+) \{ return 404; \}", configuration, re.MULTILINE)
    paths = json.load(urllib.request.urlopen(serve("--models", models_root).endpoint + "/openapi.json", timeout=30))["paths"]
    admin = [path for path in paths if path.startswith(("/v1/admin", "/v2/repository/models"))]
    assert len(admin) >= 8
    for path in admin:
        assert path.startswith(tuple(prefixes)) or any(re.search(pattern, path) for pattern in patterns), path
    assert not any(re.search(pattern, "/v2/models/mood/infer") for pattern in patterns)
