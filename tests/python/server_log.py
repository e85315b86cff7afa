"""The allowed lines of the server's log: every event with its fields. Each field has a form that cannot hold a text or a
secret, except for reasons, which are about files and the machine."""

import ast
import json
import re

NUMBER, NAME, REASON = r"-?\d+(\.\d+)?", r"[A-Za-z0-9._-]{1,128}", r"[ -~]{1,500}"
MODEL = {"model": NAME, "version": NUMBER}
JOB = r"ftjob-[A-Za-z0-9]{1,24}"
EVENTS = {
    "listening": {"address": r"[0-9a-f.:]+", "port": NUMBER},
    "stopped": {},
    "request": {
        "route": r"none|unknown|[a-z0-9_./{}:-]+",
        "status": r"[1-5]\d\d",
        "milliseconds": NUMBER,
        "model": f"({NAME})?",
        "version": NUMBER,
        "texts": NUMBER,
        "client": r"[0-9a-f.:]*",
        "key": r"([A-Za-z0-9_-]{1,32}|key \d+)?",
        "request_id": r"[A-Za-z0-9._-]{0,64}",  # empty if there was no request
        "traceparent": r"(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?",
    },
    "model_loaded": {**MODEL, "task": r"classification|embedding|image|tagging|translation"},
    "model_not_loaded": {**MODEL, "error": REASON},
    "model_unloaded": {"model": NAME},
    "model_not_removed": {"model": NAME, "error": REASON},
    "trial_not_loaded": {**MODEL, "error": REASON},
    "trial_ended": {"model": NAME},
    "alias_not_loaded": {"alias": NAME, **MODEL, "error": REASON},
    "folder_not_read": {"folder": REASON, "error": REASON},
    "folder_not_served": {"folder": r"[^\x00-\x1f]{1,255}", "error": REASON},  # any folder name
    "kubernetes_not_asked": {"object": NAME, "error": REASON},
    "kubernetes_pod_waits": {"object": NAME, "reason": NAME, "message": r"[ -~]{0,310}"},
    "slurm_not_asked": {"slurm_job": r"\d{1,12}", "error": REASON},
    "state_not_written": {"error": REASON},
    "predict_failed": {"error": r"[A-Za-z_]+"},
    "change_not_written": {"error": REASON},
    "change_failed": {"error": REASON},
    "rescan_failed": {},
    "store_without_keys": {"file": REASON, "remedy": "qing keys create"},
    "keys_file_open_to_all": {"file": REASON, "remedy": "chmod 600"},
    "key_store_failed": {"error": REASON},
    "key_store_works_again": {},
    "accept_failed": {"reason": REASON},
    "drain_cut_off": {"connections": NUMBER},
    "draining": {"seconds": NUMBER},
    "fewer_connections": {"connections": NUMBER, "remedy": REASON},
    "log_lines_lost": {"lines": NUMBER},
    "certificate_reloaded": {},
    "certificate_not_reloaded": {"reason": REASON},
    "audit_not_kept": {"error": REASON},
    "no_state_kept": {"error": REASON},
    "audit_not_written": {"error": REASON},
    "care_failed": {"step": r"[a-z._]{1,40}", "object": r"[A-Za-z0-9._-]{0,128}", "error": REASON},
    "care_works_again": {"step": r"[a-z._]{1,40}", "object": r"[A-Za-z0-9._-]{0,128}"},
    "caretaker_failed": {"error": REASON},
    "caretaker_works_again": {},
    "file_not_read": {"error": REASON},
    "files_cleaned": {"files": NUMBER},
    "files_expired": {"files": NUMBER},
    "folder_not_removed": {"folder": REASON, "error": REASON},
    "job_given_up": {"job": JOB, "code": r"[a-z_]{1,40}"},
    "job_log_not_shortened": {"folder": REASON, "error": REASON},
    "job_model_not_loaded": {"job": JOB, "error": REASON},
    "job_outcome_not_read": {"job": JOB, "error": REASON},
    "job_not_removed": {"job": JOB, "error": REASON},
    "job_not_run": {"job": JOB, "error": REASON},
    "job_not_submitted": {"job": JOB, "error": REASON},
    "job_worker_ended": {"job": JOB, "stage": r"prepare|train", "code": NUMBER, "signal": NUMBER},
    "jobs_not_run": {"error": REASON},
    "jobs_not_watched": {"error": REASON},
    "labels_changed": {"model": NAME, "version": NUMBER, "before": NUMBER},
    "labels_kept": {**MODEL, "error": REASON},
    "leftovers_not_removed": {"error": REASON},
    "model_needs_training": {"model": NAME, "reason": REASON},
    "promotion_not_undone": {"model": NAME, "error": REASON},
    "promotion_withdrawn": MODEL,
    "retraining_started": {"model": NAME, "job": JOB},
    "trial_moved": {"model": NAME, "action": r"[a-z._]{1,40}", "detail": REASON},
    "upload_not_written": {"error": REASON},
    "webhook_failed": {"id": NAME, "error": REASON},
    "webhook_lost": {"id": NAME, "error": REASON},
    "webhook_refused": {"id": NAME, "status": NUMBER},
    "webhooks_not_sent": {"messages": NUMBER},
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SECRET = re.compile(r"[0-9a-f]{16}\.[0-9a-f]{64}|(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])|your_api_key|BEGIN [A-Z ]*PRIVATE KEY")


def fault(line):
    """Returns what is wrong with a line of the log, or None."""
    try:
        fields = json.loads(line)
    except ValueError:
        return "not JSON"
    event = fields.get("event")
    if event not in EVENTS:
        return f"an event that tests/python/server_log.py does not list: {event}"
    if SECRET.search(line):
        return "it holds a secret"
    if not TIME.fullmatch(fields["time"]) or fields["level"] not in ("info", "warning", "error"):
        return "its time or level"
    values = {name: value for name, value in fields.items() if name not in ("time", "level", "event")}
    if values.keys() != EVENTS[event].keys():
        return f"its fields are not {list(EVENTS[event])}"
    for name, form in EVENTS[event].items():
        if not re.fullmatch(form, str(values[name])):
            return f"{name} has not the form {form}"
    return None


def faults(log):
    """Returns the problems of all lines of a log. Before it starts, the server may also print messages for people."""
    lines = [line for line in log.splitlines() if line.startswith("{")]
    return [f"{wrong}: {line[:500]}" for line in lines if (wrong := fault(line)) is not None]


def texts_of_source(path):
    """Returns the strings in a test's source that look like texts: Chinese ones, or three words and more."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            words = re.findall(r"(?<!\S)[^\W\d_]{2,}(?!\S)", node.value)
            if len(words) >= 3 or (not node.value.isascii() and len(node.value) >= 4):
                yield node.value
