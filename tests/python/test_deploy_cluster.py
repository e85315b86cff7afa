"""The examples of serve/deploy for Kubernetes, Prometheus and images."""

import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest
from conftest import ROOT, ask, program
from kubernetes_types import faults

DEPLOY = ROOT / "serve/deploy"


def manifests(file="kubernetes.yaml"):
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all((DEPLOY / file).read_text()))


def manifest(kind, file="kubernetes.yaml"):
    (found,) = [one for one in manifests(file) if one["kind"] == kind]
    return found


TYPES = {
    "Deployment": ("apps/v1", "V1Deployment"),
    "Service": ("v1", "V1Service"),
    "PersistentVolumeClaim": ("v1", "V1PersistentVolumeClaim"),
    "PodDisruptionBudget": ("policy/v1", "V1PodDisruptionBudget"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "V2HorizontalPodAutoscaler"),
    "NetworkPolicy": ("networking.k8s.io/v1", "V1NetworkPolicy"),
    "ServiceAccount": ("v1", "V1ServiceAccount"),
    "Role": ("rbac.authorization.k8s.io/v1", "V1Role"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "V1RoleBinding"),
}


def test_the_manifests_are_what_kubernetes_takes():
    found = manifests() + manifests("kubernetes-jobs.yaml")
    assert {one["kind"] for one in found} == TYPES.keys()
    for one in found:
        version, type_name = TYPES[one["kind"]]
        assert one["apiVersion"] == version
        assert faults(one, type_name, one["kind"]) == []


def test_the_server_of_jobs_names_what_its_manifest_has(qing):
    file = "kubernetes-jobs.yaml"
    pod = manifest("Deployment", file)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {one["name"].removeprefix("QING_SERVE_").lower().replace("_", "-"): one["value"] for one in container["env"]}
    accounts = {one["metadata"]["name"] for one in manifests(file) if one["kind"] == "ServiceAccount"}
    assert {pod["serviceAccountName"], env["kubernetes-service-account"]} == accounts
    assert [one["name"] for one in manifest("RoleBinding", file)["subjects"]] == [pod["serviceAccountName"]]
    assert env["kubernetes-claim"] == manifest("PersistentVolumeClaim", file)["metadata"]["name"]
    claims = {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
    assert claims == {env["kubernetes-claim"]}
    assert {one["mountPath"] for one in container["volumeMounts"] if one["name"] == "state"} == {env["state"]}
    assert manifest("Deployment", file)["spec"]["strategy"] == {"type": "Recreate"}
    help_text = qing("serve", "--help").stdout
    assert all(f"--{name} " in help_text for name in env), env


def test_the_check_of_manifests_sees_what_is_wrong():
    deployment = manifest("Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["ports"][0]["containerPort"] = "8080"
    container["readinesProbe"] = container.pop("readinessProbe")
    del deployment["spec"]["selector"]
    found = faults(deployment, "V1Deployment", "Deployment")
    for word in ("containerPort", "readinesProbe", "selector"):
        assert any(word in fault for fault in found), (word, found)


def test_the_parts_of_the_manifests_fit_together():
    deployment = manifest("Deployment")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"].items()
    selectors = [deployment["spec"]["selector"]["matchLabels"], manifest("Service")["spec"]["selector"],
                 manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]  # fmt: skip
    assert all(selector.items() <= labels for selector in selectors)
    ports = {port["name"] for port in container["ports"]}
    assert manifest("Service")["spec"]["ports"][0]["targetPort"] in ports
    assert manifest("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] in ports
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume}
    assert claims == {manifest("PersistentVolumeClaim")["metadata"]["name"]}
    target = manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"], "the autoscaler's number would be overwritten"
    assert manifest("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2


def test_a_pod_has_the_time_to_drain():
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    steps = [container["lifecycle"]["preStop"]["sleep"]["seconds"], float(env["QING_SERVE_DRAIN_DELAY"]), float(env["QING_SERVE_DRAIN_TIME"])]
    assert min(steps) > 0 and sum(steps) < pod["terminationGracePeriodSeconds"]
    # The probe sees the drain before it ends.
    assert container["readinessProbe"]["periodSeconds"] < steps[1]


def test_the_unit_of_systemd_waits_for_the_drain(qing):
    toml = (DEPLOY / "qing.toml").read_text()
    delay = float(re.search(r"^drain-delay = (\S+)$", toml, re.MULTILINE)[1])
    time = float(re.search(r"--drain-time.*?Default: (\d+)", qing("serve", "--help").stdout, re.DOTALL)[1])
    limit = float(re.search(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "qing.service").read_text(), re.MULTILINE)[1])
    assert 0 < delay and delay + time < limit


@pytest.fixture
def prometheus(tmp_path):
    """A folder with the files for Prometheus and the key that they name."""
    shutil.copy(DEPLOY / "alerts.yaml", tmp_path)
    key = tmp_path / "qing.key"
    key.write_text("no key\n")
    text = (DEPLOY / "prometheus.yaml").read_text().replace("/etc/prometheus/qing.key", str(key))
    (tmp_path / "prometheus.yaml").write_text(text)
    return tmp_path


def promtool(*arguments):
    return subprocess.run([program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_prometheus_takes_the_files(prometheus):
    checked = promtool("check", "config", prometheus / "prometheus.yaml")
    assert checked.returncode == 0 and "SUCCESS" in checked.stdout, checked.stderr
    yaml = pytest.importorskip("yaml")
    lines = (DEPLOY / "prometheus.yaml").read_text().splitlines()
    (begin,) = [i for i, line in enumerate(lines) if line.startswith("  # - job_name")]
    (pods,) = yaml.safe_load("\n".join(line.replace("  # ", "  ", 1) for line in lines[begin:]))
    assert pods["kubernetes_sd_configs"] == [{"role": "pod"}] and len(pods["relabel_configs"]) == 4


def test_alerts_ask_for_metrics_that_exist(models_root, serve):
    endpoint = serve("--models", models_root).endpoint
    ask(endpoint + "/v1/models/emotion_analysis/predict", {"text": "I love this film"})
    existing = set(re.findall(r"^(\w+)", urllib.request.urlopen(endpoint + "/metrics", timeout=30).read().decode(), re.MULTILINE))
    asked = set(re.findall(r"\b(?:qing|process)_\w+", re.sub(r"(summary|action):.*", "", (DEPLOY / "alerts.yaml").read_text())))
    assert len(asked) > 8 and asked <= existing, asked - existing


# Each alert with series of a minute's steps for which it fires, and with those for which it does not.
LABELS = 'job="qing",instance="a:80",model="mood"'
CANARY = [
    (f'qing_version_serving{{{LABELS},version="1",role="active"}}', "1x40"),
    (f'qing_version_serving{{{LABELS},version="2",role="canary"}}', "1x40"),
    (f'qing_version_request_seconds_count{{{LABELS},version="1"}}', "0+100x40"),
    (f'qing_version_request_seconds_count{{{LABELS},version="2"}}', "0+10x40"),
    (f'qing_version_request_seconds_sum{{{LABELS},version="1"}}', "0+1x40"),
]
REQUESTS = 'qing_requests_total{job="qing",instance="a:80",route="/predict",status="%d"}'
ROUTE = 'job="qing",instance="a:80",route="/predict"'
ALERTS = {
    "QingDown": ([('up{job="qing",instance="a:80"}', "0x40")], [('up{job="qing",instance="a:80"}', "1x40")]),
    "QingNotReady": ([('qing_ready{job="qing",instance="a:80"}', "0x40")], [('qing_ready{job="qing",instance="a:80"}', "1x40")]),
    "QingRestarts": ([('process_start_time_seconds{job="qing",instance="a:80"}', "1+1x40")],
                     [('process_start_time_seconds{job="qing",instance="a:80"}', "1x40")]),
    "QingErrors": ([(REQUESTS % 200, "0+90x40"), (REQUESTS % 500, "0+10x40")], [(REQUESTS % 200, "0+999x40"), (REQUESTS % 500, "0+1x40")]),
    "QingSlow": ([(f'qing_request_seconds_bucket{{{ROUTE},le="1"}}', "0+5x40"), (f'qing_request_seconds_bucket{{{ROUTE},le="5"}}', "0+10x40"),
                  (f'qing_request_seconds_bucket{{{ROUTE},le="+Inf"}}', "0+10x40")],
                 [(f'qing_request_seconds_bucket{{{ROUTE},le="0.5"}}', "0+10x40"), (f'qing_request_seconds_bucket{{{ROUTE},le="+Inf"}}', "0+10x40")]),
    "QingQueueFull": ([(f"qing_model_refused_total{{{LABELS}}}", "0+1x40")], [(f"qing_model_refused_total{{{LABELS}}}", "5x40")]),
    "QingVersionFails": ([(f'qing_version_requests_total{{{LABELS},version="2"}}', "0+10x40"), (f'qing_version_failed_total{{{LABELS},version="2"}}', "0+1x40")],
                         [(f'qing_version_requests_total{{{LABELS},version="2"}}', "0+100x40"), (f'qing_version_failed_total{{{LABELS},version="2"}}', "0+1x40")]),
    "QingCanarySlower": ([*CANARY, (f'qing_version_request_seconds_sum{{{LABELS},version="2"}}', "0+1x40")],
                         [*CANARY, (f'qing_version_request_seconds_sum{{{LABELS},version="2"}}', "0+0.1x40")]),
    "QingVersionsDiffer": ([(f'qing_version_serving{{{LABELS},version="1",role="active"}}', "1x40"),
                            ('qing_version_serving{job="qing",instance="b:80",model="mood",version="2",role="active"}', "1x40")],
                           [(f'qing_version_serving{{{LABELS},version="1",role="active"}}', "1x40"),
                            (f'qing_version_serving{{{LABELS},version="2",role="canary"}}', "1x40")]),
    "QingLabelDrift": ([(f'qing_model_label_drift{{{LABELS},version="1"}}', "0.3x40"), (f'qing_model_recent_texts{{{LABELS},version="1"}}', "3000x40")],
                       [(f'qing_model_label_drift{{{LABELS},version="1"}}', "0.3x40"), (f'qing_model_recent_texts{{{LABELS},version="1"}}', "100x40")]),
}  # fmt: skip


def test_each_alert_fires_when_it_should(prometheus):
    yaml = pytest.importorskip("yaml")
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == list(ALERTS)

    def case(series, alert, fires):
        """Whether the alert is as expected after 38 minutes. How many alerts fire needs none of their labels and texts."""
        return {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series],
            "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)', "eval_time": "38m",
                                  "exp_samples": [{"labels": "{}", "value": 1 if fires else 0}]}],
        }  # fmt: skip

    def ran(cases):
        file = prometheus / "test.yaml"
        file.write_text(json.dumps({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": cases}))
        return promtool("test", "rules", file)

    right = ran([case(series, alert, series is bad) for alert, (bad, good) in ALERTS.items() for series in (bad, good)])
    assert right.returncode == 0, right.stdout + right.stderr
    # promtool does see each of these expectations.
    wrong = ran([case(series, alert, series is good) for alert, (bad, good) in ALERTS.items() for series in (bad, good)])
    assert all(wrong.stderr.count(f'alertname=\\"{alert}\\"') + wrong.stdout.count(alert) > 0 for alert in ALERTS), wrong.stderr
    assert wrong.returncode != 0 and (wrong.stdout + wrong.stderr).count("nil") + (wrong.stdout + wrong.stderr).count("exp:") >= len(ALERTS)


def test_the_image_runs_alone(qing, tmp_path):
    """The commands of the Dockerfile make a root in which the server runs with the model that comes with qing."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    stages = re.split(r"^FROM ", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    (commands,) = [run for run in re.findall(r"^RUN ((?:.*\\\n)*.*)$", stages[0], re.MULTILINE) if "/image/usr" in run]
    image = tmp_path / "image"
    build = tmp_path / "build"
    build.mkdir()
    shutil.copy(qing.binary, build / "qing")
    for old, new in (("/image", image), ("/source", ROOT), ("/build", build), (" /state", f" {tmp_path}/state")):
        commands = commands.replace(old, str(new))
    subprocess.run(["sh", "-ec", commands], check=True, capture_output=True)
    env = dict(re.findall(r"(QING_SERVE_\w+)=(\S+)", stages[1]))
    (image / "state").mkdir()
    os.chown(image / "state", 65532, 65532)  # as the volume of the user
    assert not (image / "bin").exists() and env["QING_SERVE_ADDRESS"] == "0.0.0.0"
    (image / "proc").mkdir()
    if subprocess.run(["mount", "--bind", "/proc", image / "proc"], capture_output=True).returncode != 0:
        pytest.skip("cannot mount /proc")
    try:
        enter = [shutil.which("chroot"), "--userspec=65532:65532", image, "/usr/local/bin/qing", "serve"]
        refused = subprocess.run(enter, env=env, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 1 and "no API keys" in refused.stderr, "open to everybody only if asked for"
        server = subprocess.Popen([*enter, "--allow-no-keys", "--address", "127.0.0.1", "--port", "0"], env={**env, "QING_SERVE_STATE": ""},
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        try:
            endpoint = server.stdout.readline().split()[-1]
            status, _, body = ask(endpoint + "/v1/models/emotion_analysis/predict", {"text": "I love this film"})
            assert status == 200 and body["predictions"][0]["label"] == "positive"
        finally:
            server.terminate()
            assert server.wait(timeout=60) == 0
    finally:
        subprocess.run(["umount", image / "proc"], check=True)
