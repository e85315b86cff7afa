#!/usr/bin/env bash
# Builds the API server, the controllers and the database of Kubernetes for tests/python/test_kubernetes_cluster.py, which is
# skipped without them. It takes about 25 minutes of two cores and needs Go 1.26 or later. go.mod and go.sum pin all
# versions and their hashes.
#   bash tests/kubernetes/build.sh
set -euo pipefail
cd "$(dirname "$0")"
target=${QING_CACHE:-$HOME/.cache/qing}/kubernetes
mkdir -p "$target"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local

# The type of MPIJobs, from the module of the MPI operator.
operator=github.com/kubeflow/mpi-operator@v0.6.0
types=b35e50739b197598bded45c55a4d15f03600cc8afb022332c7368db3faeb911b
folder=$(go mod download -json "$operator" | sed -n 's/^\s*"Dir": "\(.*\)",$/\1/p')
echo "$types  $folder/manifests/base/kubeflow.org_mpijobs.yaml" | sha256sum --check --quiet
install -m 644 "$folder/manifests/base/kubeflow.org_mpijobs.yaml" "$target/mpijobs.yaml"

for program in go.etcd.io/etcd/server/v3=etcd k8s.io/kubernetes/cmd/kube-apiserver=kube-apiserver \
  k8s.io/kubernetes/cmd/kube-controller-manager=kube-controller-manager; do
  echo "building ${program#*=}"
  go build -p "${QING_BUILD_JOBS:-2}" -trimpath -ldflags "-s -w" -o "$target/${program#*=}" "${program%=*}"
done
