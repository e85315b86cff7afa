"""What a kubelet does with a pod of a training: its container's command as a process of this machine."""

import os
import subprocess


class PodProcess:
    """The program of the image and the folder of the claim take the places that they have in the container."""

    def __init__(self, pod, binary, volume):
        (container,) = pod["spec"]["containers"]
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "state"]
        self.folder = volume / mount["subPath"]
        places = {"/usr/local/bin/qing": str(binary), mount["mountPath"]: str(self.folder)}
        words = [self.placed(word, places) for word in container["command"]]
        environment = {one["name"]: one["value"] for one in container.get("env", [])}
        for name in ("PATH", "HOME", "OMP_WAIT_POLICY", "LD_LIBRARY_PATH", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                     "OMPI_MCA_rmaps_base_oversubscribe", "OMPI_MCA_btl_vader_single_copy_mechanism"):  # fmt: skip
            if name in os.environ:
                environment.setdefault(name, os.environ[name])
        self.process = subprocess.Popen(words, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    @staticmethod
    def placed(word, places):
        for old, new in places.items():
            if word == old or word.startswith(old + "/"):
                return new + word[len(old):]
        return word

    def code(self):
        """As a container has it: 128 and the signal. None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code


def ended_status(code, reason=None):
    """The status of a pod whose container has ended with this code."""
    said = reason or ("Completed" if code == 0 else "Error")
    return {
        "phase": "Succeeded" if code == 0 else "Failed",
        "containerStatuses": [{"name": "qing", "state": {"terminated": {"exitCode": code, "reason": said}}}],
    }
