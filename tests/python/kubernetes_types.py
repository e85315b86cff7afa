"""What Kubernetes takes, by the OpenAPI types of its Python client."""

import re

import pytest

MPI_JOB = {"slotsPerWorker": "int", "mpiImplementation": "str", "sshAuthMountPath": "str"}
MPI_POLICY = {"cleanPodPolicy": "str", "backoffLimit": "int", "ttlSecondsAfterFinished": "int"}


def faults(value, type_name, where):
    """What is wrong with a value by the OpenAPI types of the Kubernetes client: unknown and missing fields, other types."""
    client = pytest.importorskip("kubernetes.client")
    if inner := re.fullmatch(r"[Ll]ist\[(.*)\]", type_name):
        if not isinstance(value, list):
            return [f"{where}: must be a list"]
        return [fault for i, one in enumerate(value) for fault in faults(one, inner[1], f"{where}[{i}]")]
    if inner := re.fullmatch(r"[Dd]ict[(\[]str, (.*)[)\]]", type_name):
        if not isinstance(value, dict):
            return [f"{where}: must be a map"]
        return [fault for key, one in value.items() for fault in faults(one, inner[1], f"{where}.{key}")]
    plain = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object, "datetime": str}
    if type_name in plain:
        right = isinstance(value, plain[type_name]) and (type_name == "bool" or not isinstance(value, bool) or type_name == "object")
        return [] if right else [f"{where}: must be {type_name}, not {value!r}"]
    model = getattr(client, type_name)
    if not isinstance(value, dict):
        return [f"{where}: must be an object of {type_name}"]
    names = {sent: own for own, sent in model.attribute_map.items()}
    found = [f"{where}: has no field {key}" for key in value if key not in names]
    given = {names[key]: one for key, one in value.items() if key in names}
    try:
        model(**given)  # refuses missing fields and values that no list of values has
    except ValueError as error:
        found.append(f"{where}: {error}")
    return found + [fault for own, one in given.items() for fault in faults(one, model.openapi_types[own], f"{where}.{own}")]


def name_faults(body):
    """What is wrong with the name and the labels of an object and of its pods."""
    found = []
    name = body["metadata"]["name"]
    if len(name) > 63 or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        found.append(f"name: {name!r} is no DNS label")
    for key, value in body["metadata"]["labels"].items():
        prefix, _, rest = key.rpartition("/")
        if prefix and not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", prefix):
            found.append(f"label {key}: its prefix is no DNS name")
        for text in (rest, value):
            if len(text) > 63 or not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", text):
                found.append(f"label {key}: {text!r} is no word of a label")
    return found


def mpi_faults(spec):
    """What is wrong with the spec of an MPIJob of Kubeflow, whose types the client does not have."""
    found = [f"spec: has no field {key}" for key in spec if key not in {*MPI_JOB, "runPolicy", "mpiReplicaSpecs"}]
    found += [fault for key, kind in MPI_JOB.items() for fault in faults(spec[key], kind, key)]
    found += [fault for key, kind in MPI_POLICY.items() for fault in faults(spec["runPolicy"][key], kind, key)]
    if spec["mpiReplicaSpecs"].keys() != {"Launcher", "Worker"}:
        return [*found, "mpiReplicaSpecs: must be Launcher and Worker"]
    for role, replica in spec["mpiReplicaSpecs"].items():
        found += [f"{role}: has no field {key}" for key in replica if key not in {"replicas", "restartPolicy", "template"}]
        found += faults(replica["template"], "V1PodTemplateSpec", f"{role}.template")
    return found
