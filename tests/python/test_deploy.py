"""The examples of serve/deploy do what the documents promise."""

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
    assert json.loads(entry) == ["/usr/local/bin/qing"]  # a list, so it runs without a shell


def test_the_kubernetes_manifest_probes_routes_that_exist(models_root, serve):
    yaml = pytest.importorskip("yaml")
    (deployment,) = [one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    endpoint = serve("--models", models_root).endpoint
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert urllib.request.urlopen(endpoint + path, timeout=30).status == 200


def closed_by_nginx(configuration, path):
    """Returns whether a 404 location of the example matches the path by nginx's rules: exact, by prefix or by pattern."""
    for kind, place in re.findall(r"^\s*location (?:([=~]) )?(\S+) \{ return 404; \}", configuration, re.MULTILINE):
        if {"=": path == place, "~": re.search(place, path) is not None, "": path.startswith(place)}[kind]:
            return True
    return False


@pytest.mark.parametrize("prefix", ["", "/qing"])
@pytest.mark.parametrize("end", ["", "/"])
def test_the_example_of_nginx_shuts_the_admin_routes_off(models_root, serve, prefix, end):
    """Every route with the scope admin is in a location that answers 404, with and without a final slash."""
    configuration = (DEPLOY / "nginx.conf").read_text()
    if prefix:  # the commented block
        configuration = re.sub(r"^(\s*)#   ", r"\1", configuration, flags=re.MULTILINE)
    paths = json.load(urllib.request.urlopen(serve("--models", models_root).endpoint + "/openapi.json", timeout=30))["paths"]
    admin = [path for path in paths if path.startswith(("/v1/admin", "/v2/repository/models"))]
    assert len(admin) >= 8
    for path in [*admin, "/metrics"]:
        assert closed_by_nginx(configuration, prefix + path + end), path
    for path in ("/v2/models/mood/infer", "/v1/models/metrics", "/metricsx"):
        assert not closed_by_nginx(configuration, prefix + path + end), path
