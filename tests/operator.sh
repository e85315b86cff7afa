#!/usr/bin/env bash
# A day of an operator, with the tools of one: a shell, curl, nginx and promtool. tests/python/test_operator.py runs it.
#   bash tests/operator.sh QING MODEL NGINX PROMTOOL FOLDER
# MODEL is the folder of one version. PROMTOOL may be empty. FOLDER is empty and takes all files.
set -euo pipefail
qing=$1 model=$2 nginx=$3 promtool=$4
deploy=$(cd "$(dirname "$0")/../serve/deploy" && pwd)
cd "$5"

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
# expect WHAT TEXT PATTERN
expect() { [[ $2 =~ $3 ]] || fail "$1: $2"; }
# of JSON EXPRESSION: what a Python expression makes of a JSON text d.
of() { python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(eval(sys.argv[2]))' "$1" "$2"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

started=()
trap 'touch stop; for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; wait' EXIT

say "keys: one for the gateway, one for Prometheus, one for me"
key() { "$qing" keys create --store keys.db --name "$1" --scopes "$2" >"$1.key"; chmod 600 "$1.key"; }
key gateway predict
key prometheus metrics
key me admin
as() { printf 'Authorization: Bearer %s' "$(cat "$1.key")"; }

say "a configuration with mistakes is refused with their lines"
mkdir -p models/mood
cp -r "$model" models/mood/1
cat >qing.toml <<END
models = "models"
state = "state"
keys = "keys.db"
port = 99999
log-clients = "truncated"
drain-delay = 1
END
said=$("$qing" check-config qing.toml 2>&1) && fail "check-config takes a wrong file"
expect "the port" "$said" 'qing.toml:4: port: .*\[0, 65535\]'
expect "the unknown key" "$said" 'qing.toml:5: log-clients: no such key'
sed -i 's/^port.*/port = 0/; s/^log-clients/log-client/; $a trust-forwarded-for = true' qing.toml
expect "check-config" "$("$qing" check-config qing.toml 2>/dev/null)" 'model mood version 1: .*no fault'

say "two replicas behind nginx"
ports=("$(free_port)" "$(free_port)")
pids=(0 0)
start() { # start REPLICA
  "$qing" serve --config qing.toml --port "${ports[$1]}" >"out.$1" 2>>"log.$1" &
  pids[$1]=$!
  started+=("$!")
  for _ in $(seq 600); do
    grep -q '^listening on' "out.$1" 2>/dev/null && return
    sleep 0.1
  done
  fail "replica $1 does not start: $(tail -n 5 "log.$1")"
}
start 0
start 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt 2>/dev/null
front=$(free_port)
{
  printf 'daemon off; master_process off; pid nginx.pid; events {} http { access_log off;\n'
  for kind in client_body proxy fastcgi uwsgi scgi; do printf '%s_temp_path %s/%s;\n' $kind "$PWD" $kind; done
  sed -e "s/listen 443 ssl/listen 127.0.0.1:$front ssl/" -e '/listen \[::\]/d' -e "s#/etc/nginx/tls/qing#$PWD/tls#" \
    -e "s/127.0.0.1:8080/127.0.0.1:${ports[0]}/" -e "s/127.0.0.1:8081/127.0.0.1:${ports[1]}/" "$deploy/nginx.conf"
  printf '}\n'
} >nginx.conf
"$nginx" -p "$PWD" -e error.log -c "$PWD/nginx.conf" &
started+=("$!")
get() { curl -sS --max-time 30 --retry 20 --retry-connrefused --retry-delay 1 --cacert tls.crt "$@"; }
url=https://localhost:$front
own=http://127.0.0.1:${ports[0]}
get "$url/health/ready" >/dev/null

say "a prediction through nginx, and its line in the log"
ask() { # ask CALLER: a prediction by the gateway's key
  get "$url/v1/models/mood/predict" -H "$(as gateway)" -H "X-Caller-Id: $1" -H 'Content-Type: application/json' \
    -d '{"texts": ["I love this film", "so do I"]}'
}
answer=$(ask anna@example.org)
expect "the label" "$(of "$answer" 'd["predictions"][0]["label"]')" positive
line=$(cat log.0 log.1 | grep '"route":"/v1/models/{name}/predict"')
id=$(cut -d. -f1 gateway.key)
expect "the line" "$(of "$line" '[d[k] for k in ("status", "model", "version", "texts", "key", "client")]')" \
  "^\[200, 'mood', 1, 2, '$id', '127.0.0.0'\]"

say "a key without the scope is refused, and the log says whose it is"
expect "the status" "$(curl -s -o /dev/null -w '%{http_code}' "$own/metrics" -H "$(as gateway)")" 403
line=$(grep '"route":"/metrics"' log.0)
expect "the key" "$(of "$line" '(d["status"], d["key"])')" "\(403, '$id'\)"
for path in /metrics /v1/admin/models; do
  expect "$path from outside" "$(get -o /dev/null -w '%{http_code}' "$url$path" -H "$(as me)")" 404
done

say "what Prometheus sees"
metrics=$(curl -sS "$own/metrics" -H "$(as prometheus)")
expect "the build" "$metrics" 'qing_build_info\{version="'
expect "the start" "$metrics" 'process_start_time_seconds [1-9]'
if [ -n "$promtool" ]; then
  cp "$deploy/alerts.yaml" .
  sed "s#/etc/prometheus/qing.key#$PWD/prometheus.key#" "$deploy/prometheus.yaml" >prometheus.yaml
  expect "promtool" "$("$promtool" check config prometheus.yaml 2>&1)" SUCCESS
  # Its linter asks for names and units that others know, too.
  lint=$(curl -sS "$own/metrics" -H "$(as prometheus)" | "$promtool" check metrics 2>&1) || true
  expect "the linter" "$lint" '^(qing_model_.*)?$'
fi

say "a new version: uploaded, tried by some users, taken back, taken for good"
made=$(tar cf - -C "$model" . | curl -sS --data-binary @- -H 'Content-Type: application/x-tar' -H "$(as me)" \
  "$own/v1/admin/models/mood/versions")
version=$(of "$made" 'd["version"]')
expect "the version" "$made" '"active":false'
for replica in 0 1; do
  curl -sS -o /dev/null -X POST "http://127.0.0.1:${ports[$replica]}/v1/admin/rescan" -H "$(as me)"
done
change() { # change METHOD PATH BODY: on one replica; the other follows
  curl -sS -X "$1" "$own/v1/admin/models/mood/$2" -H "$(as me)" -d "$3"
  curl -sS -o /dev/null -X POST "http://127.0.0.1:${ports[1]}/v1/admin/rescan" -H "$(as me)"
}
expect "the trial" "$(change PUT trial "{\"version\": $version, \"share\": 0.5}")" '"kind":"canary"'
declare -A seen
for round in 1 2; do
  for user in $(seq 20); do
    got=$(of "$(ask "user-$user")" 'd["version"]')
    [ "${seen[$user]:-$got}" = "$got" ] || fail "user $user had version ${seen[$user]} and now $got in round $round"
    seen[$user]=$got
  done
done
expect "versions of users" "$(printf '%s\n' "${seen[@]}" | sort -u | tr '\n' ' ')" "^1 $version $"
listed=$(curl -sS "$own/v1/admin/models" -H "$(as me)")
expect "the states" "$(of "$listed" '[v["state"] for v in d["models"][0]["versions"]]')" "'active', 'canary'"
[ "$(of "$listed" 'min(v["requests"] for v in d["models"][0]["versions"])')" -gt 0 ] || fail "a version without requests: $listed"
expect "series of versions" "$(curl -sS "$own/metrics" -H "$(as prometheus)")" \
  "qing_version_serving\{model=\"mood\",version=\"$version\",role=\"canary\",task=\"classification\"\} 1"
change DELETE trial '' >/dev/null
expect "after the trial" "$(of "$(ask user-1)" 'd["version"]')" '^1$'
change POST load "{\"version\": $version}" >/dev/null
expect "promoted" "$(of "$(ask user-1)" 'd["version"]')" "^$version$"
change POST rollback '' >/dev/null
expect "rolled back" "$(of "$(ask user-1)" 'd["version"]')" '^1$'

say "a rolling restart under load"
load() {
  while [ ! -e stop ]; do
    curl -sS --max-time 30 --cacert tls.crt -o /dev/null -w '%{http_code}\n' "$url/v1/models/mood/predict" -H "$(as gateway)" \
      -H 'Content-Type: application/json' -d '{"text": "I love this film"}' || echo "failed"
  done >"$1"
}
load load.0 &
load load.1 &
loads=($(jobs -p | tail -n 2))
for replica in 0 1; do
  kill -TERM "${pids[$replica]}"
  drained=no
  while kill -0 "${pids[$replica]}" 2>/dev/null; do
    [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:${ports[$replica]}/health/ready")" = 503 ] && drained=yes
    sleep 0.05
  done
  wait "${pids[$replica]}" || fail "replica $replica ended with $?"
  [ $drained = yes ] || fail "replica $replica was gone before it said so"
  start $replica
done
touch stop
wait "${loads[@]}"
expect "answers under the restart" "$(sort load.0 load.1 | uniq -c | tr -s '\n ' ' ')" '^ ?[0-9]+ 200 ?$'
[ "$(wc -l <load.0)" -gt 5 ] || fail "too few requests to tell"

say "no name of a user and no key is in a log"
! grep -qE 'anna@|user-[0-9]|I love' log.0 log.1 error.log || fail "a log has a user's name or text"
for name in gateway prometheus me; do ! grep -qF "$(cut -d. -f2 $name.key)" log.0 log.1 error.log || fail "a log has a key"; done
say "done"
